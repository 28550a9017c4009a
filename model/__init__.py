"""The model: network, data set building, training, baselines, metrics, evaluation, export, registry."""
