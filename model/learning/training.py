"""From a log to versions, again and again: what a retrainer does, without the servers around it."""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

from millrace.kernel.contracts import CatalogueItem
from millrace.kernel.errors import ConfigurationError
from millrace.kernel.user_state import ResolvedEvent
from millrace.model.configuration import ModelConfiguration
from millrace.model.learning.follower import LogFollower
from millrace.model.learning.model_learner import ModelLearner, Parts
from millrace.model.learning.rhythm import LEAST_EVENTS, first_moments
from millrace.model.registry import Registry, Version, VersionCard
from millrace.model.training.progress import Progress, silent
from millrace.model.versions import publish, serving_card
from millrace.stores.item_ids import write_item_ids
from millrace.streams.ranking import CONTEXT_NAMES, FEATURE_NAMES

# Newest share of the new moments that grades a version before it learns them too.
_HOLDOUT = 0.25


class Refresh(StrEnum):
    """What a training renews: what is due by its rhythm, everything, or fusion and re-ranker without an encoder."""

    DUE = "due"
    ALL = "all"
    RANKER = "ranker"


class Training:
    """A learner that follows a log and publishes versions of what it has learned.

    The first training normally fits the encoder, then the ranker on the events behind it. `Refresh.RANKER` publishes a
    version without an encoder in a fraction of that time. The next training with another `Refresh` starts over from
    the first event and fits everything: a ranker that has never seen an encoder's scores cannot use them.

    Args:
        items: Dense index -> item; further ones come with `update_items`.
        registry: Where versions go.
        parent: Version to go on from; None begins with random weights.
        configuration: What was chosen of the model.
        seed: Of everything random.
        progress: Called with phase (`encoder`, `replay`, `ranker`, `export`) and share, 0 to 1.

    Attributes:
        version: Name of the version that this training has published last, or went on from.
    """

    def __init__(
        self,
        items: Mapping[int, CatalogueItem],
        registry: Registry,
        parent: Version | None = None,
        configuration: ModelConfiguration | None = None,
        seed: int = 0,
        progress: Progress = silent,
    ) -> None:
        self._items = dict(items)
        self._registry = registry
        self._seed = seed
        self._progress = progress
        self._configuration = configuration or ModelConfiguration()
        # A parent without an encoder is no network to go on from.
        self._parent = parent if parent and parent.card.encoder_events else None
        self._learner, self._follower = self._beginning()
        self._waiting: list[ResolvedEvent] = []
        # Whether the learner has no encoder; if so, the events that it has learned.
        self._without_encoder = False
        self._learned_events: list[ResolvedEvent] = []
        self._seconds: dict[str, float] = {}
        self.version = parent.name if parent else None

    def update_items(self, items: Mapping[int, CatalogueItem]) -> None:
        """Take over new or changed items."""
        self._items.update(items)
        self._follower.update_items(items)

    def add(self, events: Sequence[ResolvedEvent]) -> None:
        """Add the next events of the log; they are learned by the next `train`."""
        self._waiting += events

    def train(self, refresh: Refresh = Refresh.ALL, position: Mapping[int, int] | None = None) -> Version:
        """Learn what has been added and publish a version.

        Args:
            refresh: What to renew.
            position: Last offset that was added, by partition.

        Raises:
            ConfigurationError: There is too little to learn from.
            FatalError: ONNX and Keras disagree, or the registry cannot be written.
        """
        self._choose_learner(refresh)
        self._follow()
        self._progress("ranker", 0.0)
        metrics = self._learner.refresh_ranker(_HOLDOUT)
        self._progress("ranker", 1.0)
        if self._without_encoder:
            self._learner.refresh_rating()
        elif refresh is Refresh.ALL or (refresh is Refresh.DUE and self._learner.encoder_due()):
            self._learner.refresh_encoder()
        self._progress("export", 0.0)
        version = publish(
            self._registry, self._learner.recommender, self._card(metrics, position or {}), self._learner.exporter
        )
        write_item_ids(version.path, self._items)
        self._progress("export", 1.0)
        self.version = version.name
        return version

    def _beginning(self, encoder: bool = True) -> tuple[ModelLearner, LogFollower]:
        """Return a learner that has seen no event yet, and what moves it through the log."""
        # Nobody reads the encoder of a version without one: a small one is exported and served in less time.
        configuration = self._configuration if encoder else self._configuration.with_changes({"network.blocks": 1})
        learner = ModelLearner(
            self._items,
            configuration,
            Parts(encoder=encoder),
            parent=self._parent,
            seed=self._seed,
            progress=self._progress,
        )
        return learner, LogFollower(learner, self._items)

    def _choose_learner(self, refresh: Refresh) -> None:
        """Begin without an encoder if asked to, and start over with one when a later training wants it."""
        if refresh is Refresh.RANKER and self._parent is None and self._learner.log.count == 0:
            self._learner, self._follower = self._beginning(encoder=False)
            self._without_encoder = True
        elif refresh is not Refresh.RANKER and self._without_encoder:
            self._learner, self._follower = self._beginning()
            self._waiting, self._learned_events = self._learned_events + self._waiting, []
            self._without_encoder, self._seconds = False, {}
        if self._without_encoder:
            self._learned_events += self._waiting

    def _follow(self) -> None:
        """Move through the added events; the ranker learns from those that the encoder does not know yet."""
        events, self._waiting = self._waiting, []
        started = self._learner.log.count > 0
        if not started and len(events) < LEAST_EVENTS:
            raise ConfigurationError(
                f"A model needs at least {LEAST_EVENTS} events to learn from; there are {len(events)}."
            )
        known = 0
        if not started:
            # A parent's own events only move the statistics; without one, the encoder learns the older ones first.
            known = min(self._parent.card.events, len(events)) if self._parent else first_moments(len(events))
            self._follower.follow(events[:known], moments=False, progress=self._replay_progress(0.0, 0.5))
            if self._parent is None:
                self._learner.refresh_encoder()
        self._follower.follow(events[known:], moments=True, progress=self._replay_progress(0.5, 1.0))

    def _replay_progress(self, start: float, stop: float) -> Callable[[float], None]:
        return lambda share: self._progress("replay", start + (stop - start) * share)

    def _card(self, metrics: Mapping[str, float], position: Mapping[int, int]) -> VersionCard:
        weights = self._learner.weights
        spent = {
            name: round(seconds - self._seconds.get(name, 0.0), 3) for name, seconds in self._learner.seconds.items()
        }
        self._seconds = dict(self._learner.seconds)
        recommender = self._learner.recommender
        return VersionCard(
            serving=serving_card(recommender, FEATURE_NAMES, CONTEXT_NAMES, weights.weights, weights.context_weights),
            network=recommender.config,
            parent=self.version,
            position=dict(position),
            events=self._learner.log.count,
            encoder_events=self._learner.encoder_events,
            metrics=dict(metrics),
            seconds=spent,
            seed=self._seed,
        )
