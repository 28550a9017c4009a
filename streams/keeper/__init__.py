"""The item-statistics keeper: learns what follows what and keeps it in Redis."""
