"""Faults on a running system: what is killed, stopped, filled or cut, and whether anything was lost."""
