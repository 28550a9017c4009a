"""Benchmark drivers and load generators."""
