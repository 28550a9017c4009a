"""Training: encoder, rating head and ranker."""

from model.training.progress import Progress, silent
from model.training.train import Trained, train

__all__ = ["Progress", "Trained", "silent", "train"]
