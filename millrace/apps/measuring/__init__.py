"""What commands that start a stack and measure it share: the demo, the bench and the load test."""
