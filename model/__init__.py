"""The recommendation model: network, training data, training, baselines, evaluation, export and registry."""
