import json
from pathlib import Path

import pytest

from millrace.kernel.errors import ConfigurationError
from millrace.kernel.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"MILLRACE_{name.upper()}", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def stack_file(home: Path, **addresses: object) -> None:
    home.mkdir(parents=True, exist_ok=True)
    (home / "stack.json").write_text(json.dumps(addresses))


def test_the_environment_wins_over_the_stack_file_over_the_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack_file(tmp_path / ".millrace", kafka_bootstrap="stack:1", redis_url="redis://stack:2/0")
    monkeypatch.setenv("MILLRACE_KAFKA_BOOTSTRAP", "environment:1")
    settings = load_settings()
    assert settings.kafka_bootstrap == "environment:1"
    assert settings.redis_url == "redis://stack:2/0"
    assert settings.triton_url == Settings.model_fields["triton_url"].default


def test_home_says_where_the_stack_file_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stack_file(tmp_path / "elsewhere", kafka_bootstrap="stack:1")
    monkeypatch.setenv("MILLRACE_HOME", str(tmp_path / "elsewhere"))
    assert load_settings().kafka_bootstrap == "stack:1"


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_a_broken_stack_file_is_no_stack(tmp_path: Path, text: str) -> None:
    (tmp_path / ".millrace").mkdir()
    (tmp_path / ".millrace" / "stack.json").write_text(text)
    assert load_settings().kafka_bootstrap == Settings.model_fields["kafka_bootstrap"].default


@pytest.mark.parametrize(
    ("name", "value"),
    [("LIST_LENGTH", "many"), ("LIST_LENGTH", "0"), ("DIVERSITY", "2"), ("STACK", "cloud"), ("MAX_RECORD_BYTES", "1")],
)
def test_an_unusable_variable_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"MILLRACE_{name}", value)
    with pytest.raises(ConfigurationError, match=f"MILLRACE_{name} is unusable"):
        load_settings()


def test_an_implied_value_out_of_range_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILLRACE_IMPLIED_VALUES", '{"view": 9}')
    with pytest.raises(ConfigurationError, match="MILLRACE_IMPLIED_VALUES"):
        load_settings()


@pytest.mark.parametrize("value", ["{dc1: 3}", "", "dc1=3"])
@pytest.mark.parametrize("name", ["CASSANDRA_REPLICATION", "IMPLIED_VALUES", "EVENT_WEIGHTS"])
def test_a_map_that_is_no_json_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"MILLRACE_{name}", value)
    with pytest.raises(ConfigurationError, match=rf"^The setting MILLRACE_{name} is unusable \(it is no JSON: .+\);"):
        load_settings()


def test_a_child_process_gets_the_very_same_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(list_length=7, implied_values={"wish": 4.0}, diversity=0.25, topic_prefix="x.")
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert load_settings() == settings


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().list_length = 3  # type: ignore[misc]


def test_every_setting_explains_itself() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
