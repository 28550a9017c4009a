"""The registry: all of a version or nothing."""

from pathlib import Path

import numpy as np
import pytest

from millrace.kernel.errors import ConfigurationError, FatalError
from millrace.model.network.config import NetworkConfig
from millrace.model.registry import Registry, Version, VersionCard
from millrace.streams.scoring.card import ServingCard

CARD = VersionCard(
    serving=ServingCard(
        version="",
        triton_model="",
        items=3,
        vector_width=2,
        feature_names=("a",),
        context_names=("b",),
        weights=(0.5,),
        context_weights=((0.25,),),
    ),
    network=NetworkConfig(items=3, features=1, context=1),
    position={-1: 99, 2: 7},
    metrics={"hit_rate_at_10": 0.125},
    seed=5,
)
VECTORS = np.arange(8, dtype=np.float16).reshape(4, 2)
WEIGHTS = {"000:a/b": np.ones((2, 2), np.float32), "001:c": np.float32(3.0)}


def publish(registry: Registry, network: bytes = b"graph") -> Version:
    source = registry.root.parent / "model.onnx"
    source.write_bytes(network)
    return registry.publish(CARD, source, WEIGHTS, VECTORS)


def test_a_version_is_read_back_as_it_was_published(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "models")
    publish(registry)
    version = registry.get("v000001")
    assert version.card.serving.triton_model == "recommender_v000001"
    assert version.card.position == {-1: 99, 2: 7}
    assert version.card.metrics == {"hit_rate_at_10": 0.125}
    assert version.network.read_bytes() == b"graph"
    np.testing.assert_array_equal(version.vectors(), VECTORS)
    assert version.vectors().dtype == np.float16
    weights = version.weights()
    assert weights.keys() == WEIGHTS.keys()
    np.testing.assert_array_equal(weights["000:a/b"], WEIGHTS["000:a/b"])
    assert weights["001:c"].shape == ()


def test_names_count_up_and_latest_is_the_newest(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "models")
    assert registry.latest() is None
    assert registry.versions() == []
    names = [publish(registry).name for _ in range(3)]
    assert names == ["v000001", "v000002", "v000003"]
    assert registry.versions() == names
    latest = registry.latest()
    assert latest is not None
    assert latest.name == "v000003"


def test_a_name_taken_by_a_broken_folder_is_skipped(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "models")
    (registry.root / "v000004").mkdir(parents=True)
    (registry.root / "v000004" / "model.onnx").write_bytes(b"half")
    assert registry.versions() == []
    assert publish(registry).name == "v000005"


def test_a_failed_publication_leaves_nothing(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "models")
    with pytest.raises(FatalError, match="cannot be written"):
        registry.publish(CARD, tmp_path / "missing.onnx", WEIGHTS, VECTORS)
    assert list(registry.root.iterdir()) == []


def test_pruning_keeps_the_newest_and_the_needed(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "models")
    for _ in range(5):
        publish(registry)
    assert registry.prune(keep=2, needed=frozenset({"v000001"})) == ["v000002", "v000003"]
    assert registry.versions() == ["v000001", "v000004", "v000005"]
    assert publish(registry).name == "v000006"


def test_an_unknown_version_is_named_with_the_known_ones(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "models")
    publish(registry)
    with pytest.raises(ConfigurationError, match=r"no model version v000009 .* known: v000001"):
        registry.get("v000009")
    (registry.root / "v000001" / "card.json").write_text("{}")
    with pytest.raises(ConfigurationError, match="card of model version v000001 cannot be read"):
        registry.get("v000001")
