import json
import os
from pathlib import Path

import pytest

from millrace.kernel.contracts.decode import DEFAULT_EVENT_WEIGHTS
from millrace.kernel.errors import ConfigurationError
from millrace.kernel.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for variable in os.environ:
        if variable.startswith("MILLRACE_"):
            monkeypatch.delenv(variable)
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


def test_a_map_adds_to_its_default_and_null_removes_an_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILLRACE_IMPLIED_VALUES", '{"add_to_cart": 4.2, "like": 5, "dislike": null}')
    monkeypatch.setenv("MILLRACE_EVENT_WEIGHTS", '{"add_to_cart": 1.2}')
    settings = load_settings()
    assert settings.implied_values == {"view": 3.0, "click": 3.0, "like": 5.0, "purchase": 5.0, "add_to_cart": 4.2}
    assert settings.event_weights == {**DEFAULT_EVENT_WEIGHTS, "add_to_cart": 1.2}


@pytest.mark.parametrize(("name", "value"), [("IMPLIED_VALUES", '{"veiw": null}'), ("EVENT_WEIGHTS", "[]")])
def test_a_map_that_cannot_be_laid_over_its_default_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"MILLRACE_{name}", value)
    with pytest.raises(ConfigurationError, match=f"MILLRACE_{name} is unusable"):
        load_settings()


def test_child_processes_and_other_terminals_miss_the_same_entries(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = Settings(implied_values={"view": None, "wish": 4.0}, event_weights={"click": None})
    assert "view" not in settings.implied_values
    stack_file(tmp_path / ".millrace", **settings.shared())
    assert load_settings().implied_values == settings.implied_values
    assert load_settings().event_weights == settings.event_weights
    (tmp_path / ".millrace" / "stack.json").unlink()
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert load_settings() == settings


def test_other_terminals_get_what_the_roles_share_and_nothing_private(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    of_the_stack = Settings(
        home=tmp_path / ".millrace",
        list_length=7,
        max_record_bytes=2048,
        topic_prefix="shop.",
        model_configuration=Path("tuned.toml"),
        health_port=8080,
        kafka_group_member="worker-1",
        kafka_sasl_password="secret",  # noqa: S106 - nobody's
        cassandra_password="secret",  # noqa: S106
    )
    stack_file(tmp_path / ".millrace", **of_the_stack.shared())
    assert "secret" not in (tmp_path / ".millrace" / "stack.json").read_text()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("MILLRACE_HOME", str(tmp_path / ".millrace"))
    settings = load_settings()
    assert (settings.list_length, settings.max_record_bytes, settings.topic_prefix) == (7, 2048, "shop.")
    assert settings.model_configuration == tmp_path / "tuned.toml"
    assert settings.event_log_url == of_the_stack.event_log_url
    assert (settings.health_port, settings.kafka_group_member) == (0, "")


@pytest.mark.parametrize(
    ("variable", "hint"),
    [
        ("MILLRACE_LIST_LENGHT", "did you mean MILLRACE_LIST_LENGTH?"),
        ("MILLRACE_KAFKA_BOOTSTRAP_SERVERS", "did you mean MILLRACE_KAFKA_BOOTSTRAP?"),
        ("millrace_redis_ur", "did you mean MILLRACE_REDIS_URL?"),
        ("MILLRACE_HEALT_PORT", "did you mean MILLRACE_HEALTH_PORT?"),
        ("MILLRACE_XQ", "unset it."),
    ],
)
def test_a_variable_that_is_no_setting_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, variable: str, hint: str
) -> None:
    monkeypatch.setenv(variable, "1")
    with pytest.raises(ConfigurationError) as refused:
        load_settings()
    assert str(refused.value).startswith(f"There is no setting {variable}: {hint}")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MILLRACE_REQUIRE_SERVICES", "1"),
        ("MILLRACE_CRASH_AT", "committed:2"),
        ("MILLRACE_SERVICE_HOST", "10.0.0.1"),
        ("MILLRACE_SERVICE_PORT", "8080"),
        ("MILLRACE_PORT", "tcp://10.0.0.1:8080"),
        ("MILLRACE_MODEL_SERVER_SERVICE_HOST", "10.0.0.1"),
        ("MILLRACE_MODEL_SERVER_SERVICE_PORT_GRPC", "8001"),
        ("MILLRACE_MODEL_SERVER_PORT", "tcp://10.0.0.1:8001"),
        ("MILLRACE_MODEL_SERVER_PORT_8001_TCP", "tcp://10.0.0.1:8001"),
        ("MILLRACE_MODEL_SERVER_PORT_8001_TCP_ADDR", "10.0.0.1"),
        ("MILLRACE_DNS_PORT_53_UDP_PROTO", "udp"),
    ],
)
def test_variables_that_are_no_settings_but_belong_there_are_left_alone(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    assert load_settings() == Settings()


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().list_length = 3  # type: ignore[misc]


def test_every_setting_explains_itself() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
