"""Learns new model versions from the event log and puts them into service."""

from millrace.consumers.retrainer.requests import request_retraining

__all__ = ["request_retraining"]
