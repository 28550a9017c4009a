from pathlib import Path

import pytest

from millrace.kernel.errors import ConfigurationError
from millrace.model.configuration import ModelConfiguration, read_configuration, write_configuration


def test_a_written_configuration_reads_back_equal_and_holds_only_what_was_changed(tmp_path: Path) -> None:
    changes = {"network.width": 32, "network.ranker_units": [16, 8], "encoder.learning_rate": 1e-5}
    chosen = ModelConfiguration().with_changes(changes)
    path = tmp_path / "new" / "model.toml"
    write_configuration(path, chosen, ("Best of 3 trials.",))
    assert read_configuration(path) == chosen
    assert chosen.changed() == {
        "network": {"width": 32, "ranker_units": [16, 8]},
        "encoder": {"learning_rate": 1e-5},
    }
    assert "heads" not in path.read_text()


def test_without_a_file_the_defaults_hold() -> None:
    assert read_configuration(None) == ModelConfiguration()


def test_every_field_says_what_it_is() -> None:
    for section in ModelConfiguration.model_fields.values():
        fields = section.annotation.model_fields  # type: ignore[union-attr]
        assert fields
        assert all(field.description for field in fields.values())


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[network]\nwidht = 3\n", "network.widht"),
        ("[network]\nwidth = 30\nheads = 4\n", "4 heads"),
        ("[encoder]\nlearning_rate = -1\n", "encoder.learning_rate"),
        ("[network\n", "is not TOML"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "model.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=named):
        read_configuration(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"model\.toml cannot be read"):
        read_configuration(tmp_path / "model.toml")
