"""Contracts, settings, errors and names that every part shares; imports nothing else of Millrace."""
