"""What `millrace evaluate` is asked for."""

from dataclasses import dataclass
from pathlib import Path

from millrace.model.evaluation.grading import ListTiming
from millrace.model.evaluation.split import TRAINING_SHARE, WARM_UP_SHARE

# Cheap and always worth a look; the others are asked for by name.
DEFAULT_BASELINES = ("popularity", "recent_popularity", "markov")
ALL_BASELINES = "all"


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """One evaluation; a protocol reads what concerns it.

    Args:
        path: MovieLens folder; None where a protocol reads files of its own.
        protocol: Name in `millrace.model.evaluation.protocols.PROTOCOLS`.
        seed: Of everything random: ties, initial weights, exploration, resamples.
        training: Share of the stream before the warm-up.
        warm_up: Share between training and the graded part.
        events: Most graded events; None for all.
        moment: When graded lists are made.
        delay_s: Seconds of the replay by which statistics are late.
        rate_per_s: Events per second of the replay that `delay_s` means; None takes the events' own times.
        request_time: Whether the time since the user's last event is known to the features.
        without: Parts of the system left out.
        baselines: Graded beside the system; `ALL_BASELINES` for every one.
        diversities: Weights of dissimilarity at which lists are made again, to see what diversity costs.
        ranker_events: New events after which the ranker is refreshed; None for the default.
        encoder_growth: Share by which the log grows until the encoder is refreshed; None for the default.
        configuration: What was chosen of the model, as TOML; None for the defaults.
        parallel: Processes.
        work: Folder for checkpoints; None keeps none.
        resume: Whether to go on from the checkpoints in `work`.
        sequences: File of "user item" lines.
        train: Ratings to learn from.
        test: Ratings to predict.
        cut: Share of the stream at which weights are frozen.
        statistics_live: Whether the statistics go on learning after the cut.
        refreshes: Points at which weights are learned anew (incremental).
        sampled: Negatives of the metrics that papers compare by, beside those over the whole catalogue; 0 for none.
        hide: Share of each basket that is hidden (masked).
        candidates: File of "user item" lines to choose from (masked); None draws `negatives` besides the hidden ones.
        negatives: Drawn items to choose from besides the hidden ones (masked).
    """

    path: Path | None = None
    protocol: str = "prequential"
    seed: int = 0
    training: float = TRAINING_SHARE
    warm_up: float = WARM_UP_SHARE
    events: int | None = None
    moment: ListTiming = ListTiming.ON_REQUEST
    delay_s: float = 0.0
    rate_per_s: float | None = None
    request_time: bool = True
    without: tuple[str, ...] = ()
    baselines: tuple[str, ...] = DEFAULT_BASELINES
    diversities: tuple[float, ...] = ()
    ranker_events: int | None = None
    encoder_growth: float | None = None
    configuration: Path | None = None
    parallel: int = 1
    work: Path | None = None
    resume: bool = False
    sequences: Path | None = None
    train: Path | None = None
    test: Path | None = None
    cut: float = 0.9
    statistics_live: bool = False
    refreshes: int = 4
    sampled: int = 0
    hide: float = 0.2
    candidates: Path | None = None
    negatives: int = 90
