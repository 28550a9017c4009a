"""Locust users: they publish activity, think, and wait for their own fresh list."""
