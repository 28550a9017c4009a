"""What people start: command line, demo, stacks, status."""
