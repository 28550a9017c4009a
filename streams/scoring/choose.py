"""Picks the scorer that the settings ask for."""

from millrace.config import Settings
from streams.scoring.in_process import IN_PROCESS
from streams.scoring.protocol import Scorer


def make_scorer(settings: Settings) -> Scorer:
    """Return the scorer for `MILLRACE_TRITON_URL`: Triton, or this process where it says `in-process`."""
    if settings.triton_url == IN_PROCESS:
        from streams.scoring.onnx import OnnxScorer

        return OnnxScorer(settings.triton_repository_dir)
    from streams.scoring.triton import TritonScorer

    return TritonScorer(settings.triton_url)
