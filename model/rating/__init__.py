"""Predicting the stars people read: baselines, item parameters, evaluation."""
