"""Picks the scorer that the settings ask for."""

from millrace.kernel.settings import Settings
from millrace.streams.scoring.in_process import IN_PROCESS
from millrace.streams.scoring.scorer import Scorer


def make_scorer(settings: Settings) -> Scorer:
    """Return the scorer for `MILLRACE_TRITON_URL`: Triton, or this process where it says `in-process`."""
    if settings.triton_url == IN_PROCESS:
        from millrace.streams.scoring.onnx import OnnxScorer

        return OnnxScorer(settings.triton_repository_dir)
    from millrace.streams.scoring.triton import TritonScorer

    return TritonScorer(settings.triton_url)
