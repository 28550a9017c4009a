"""The main job end to end on one machine: `millrace demo`."""
