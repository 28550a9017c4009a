"""The model registry: one folder per version, published atomically."""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from millrace.kernel.errors import ConfigurationError, FatalError
from millrace.model.network.config import NetworkConfig
from millrace.streams.scoring.card import ServingCard

_CARD = "card.json"
_NETWORK = "model.onnx"
_WEIGHTS = "weights.npz"
_VECTORS = "vectors.npy"
_UNFINISHED = ".unfinished-"
_PUBLISH_ATTEMPTS = 100


class VersionCard(BaseModel):
    """The metadata of a version, stored as JSON in its folder.

    Args:
        serving: The part that workers need; its `version` is set when the version is published.
        network: Sizes of the network; the weights are loaded into a network of these sizes.
        parent: Version whose weights the training started from, if any.
        created_ms: Time of publication, in milliseconds since 1970.
        position: Partition -> last log offset that was learned; empty for a version trained from a folder.
        events: Number of events learned, including those of its ancestors.
        encoder_events: Number of log events that the encoder has learned; the encoder is refreshed less often than
            the ranker.
        metrics: Name -> value, measured on events that were predicted before they were learned: `hit_rate_at_10`,
            `ndcg_at_10`, the same with the prefixes `popularity_` and `counts_`, and `holdout_events`.
        seconds: Training phase -> wall-clock seconds.
        timing_ms: Milliseconds of one ONNX call: `one` user and a `batch` of 64.
        seed: Seed of all random parts of the training.
        accepted: Whether the retrainer let the version serve; None for a version that was not judged.
        verdict: The reason of the decision, in one sentence.
    """

    model_config = ConfigDict(frozen=True)

    serving: ServingCard
    network: NetworkConfig
    parent: str | None = None
    created_ms: int = 0
    position: dict[int, int] = {}
    events: int = 0
    encoder_events: int = 0
    metrics: dict[str, float] = {}
    seconds: dict[str, float] = {}
    timing_ms: dict[str, float] = {}
    seed: int = 0
    accepted: bool | None = None
    verdict: str = ""

    @property
    def version(self) -> str:
        """The version's name."""
        return self.serving.version


@dataclass(frozen=True, slots=True)
class Version:
    """A published version.

    Args:
        path: Folder of the version.
        card: Metadata of the version.
    """

    path: Path
    card: VersionCard

    @property
    def name(self) -> str:
        """The version's name."""
        return self.card.version

    @property
    def network(self) -> Path:
        """Path of the ONNX file."""
        return self.path / _NETWORK

    def vectors(self) -> NDArray[np.float16]:
        """Return the item vectors, [items + 1, d] float16; row 0 is padding."""
        vectors: NDArray[np.float16] = np.load(self.path / _VECTORS)
        return vectors

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """Return the Keras weights by name."""
        with np.load(self.path / _WEIGHTS) as stored:
            return {name: stored[name] for name in stored.files}


class Registry:
    """The model versions under one folder.

    Args:
        root: Folder of the registry; created when the first version is published.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def versions(self) -> list[str]:
        """Return the names of all complete versions, oldest first."""
        if not self.root.is_dir():
            return []
        return sorted(path.parent.name for path in self.root.glob(f"v*/{_CARD}"))

    def get(self, version: str) -> Version:
        """Return a version by name.

        Raises:
            ConfigurationError: There is no version of that name, or its card cannot be read.
        """
        path = self.root / version
        try:
            card = VersionCard.model_validate_json((path / _CARD).read_bytes())
        except FileNotFoundError:
            known = ", ".join(self.versions()[-5:]) or "none yet"
            raise ConfigurationError(f"There is no model version {version} in {self.root}; known: {known}.") from None
        except ValidationError as error:
            raise ConfigurationError(f"The card of model version {version} cannot be read: {error}.") from None
        return Version(path, card)

    def latest(self) -> Version | None:
        """Return the newest version, or None if there is none yet."""
        names = self.versions()
        return self.get(names[-1]) if names else None

    def publish(
        self,
        card: VersionCard,
        network: Path,
        weights: Mapping[str, NDArray[np.float32]],
        vectors: NDArray[np.float16],
    ) -> Version:
        """Add a version atomically under the next free name.

        Args:
            card: Metadata; `serving.version` and `serving.triton_model` are replaced by the new name.
            network: ONNX file; it is copied.
            weights: Name -> Keras weight.
            vectors: [items + 1, d] float16 item vectors.

        Returns:
            The published version.

        Raises:
            FatalError: The folder cannot be written.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            folder = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=self.root))
            try:
                shutil.copyfile(network, folder / _NETWORK)
                np.save(folder / _VECTORS, vectors)
                np.savez(folder / _WEIGHTS, **dict(weights))
                return self._rename(folder, card)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        except OSError as error:
            raise FatalError(f"The model version cannot be written to {self.root}: {error}.") from error

    def judge(self, version: str, accepted: bool, verdict: str) -> Version:
        """Record in a version's card whether it may serve and why; the card is replaced atomically.

        Args:
            version: Name of the version.
            accepted: Whether it may serve.
            verdict: The reason, in one sentence.

        Returns:
            The version with its new card.

        Raises:
            ConfigurationError: There is no such version.
            FatalError: The card cannot be written.
        """
        found = self.get(version)
        card = found.card.model_copy(update={"accepted": accepted, "verdict": verdict})
        target = found.path / _CARD
        building = target.with_suffix(_UNFINISHED)
        try:
            building.write_text(card.model_dump_json(indent=2))
            building.replace(target)
        except OSError as error:
            raise FatalError(f"The card of {version} cannot be written to {self.root}: {error}.") from error
        return Version(found.path, card)

    def prune(self, keep: int, needed: frozenset[str] = frozenset()) -> list[str]:
        """Delete old versions.

        Args:
            keep: Number of newest versions to keep, at least 0.
            needed: Names of older versions that are kept as well.

        Returns:
            The names of the deleted versions, oldest first.
        """
        names = self.versions()
        gone = [name for name in names[: max(len(names) - keep, 0)] if name not in needed]
        for name in gone:
            shutil.rmtree(self.root / name)
        return gone

    def _rename(self, folder: Path, card: VersionCard) -> Version:
        """Rename the finished folder to the next free name, skipping names that other processes have just taken."""
        number = max((int(name[1:]) for name in self._taken()), default=0)
        for attempt in range(1, _PUBLISH_ATTEMPTS):
            named = _named(card, f"v{number + attempt:06d}")
            (folder / _CARD).write_text(named.model_dump_json(indent=2))
            folder.chmod(0o755)
            try:
                folder.rename(self.root / named.version)
            except OSError:
                if not (self.root / named.version).exists():
                    raise
                continue
            return Version(self.root / named.version, named)
        raise FatalError(f"No free version name was found in {self.root}; remove broken folders there.")

    def _taken(self) -> list[str]:
        return [path.name for path in self.root.glob("v*") if path.name[1:].isdigit()]


def _named(card: VersionCard, version: str) -> VersionCard:
    serving = card.serving.model_copy(update={"version": version, "triton_model": triton_model_name(version)})
    return card.model_copy(update={"serving": serving})


def triton_model_name(version: str) -> str:
    """Return the name under which Triton serves a version."""
    return f"recommender_{version}"
