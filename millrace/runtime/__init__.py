"""What every long-running role does: back-off, heartbeat, signals, rates, health."""
