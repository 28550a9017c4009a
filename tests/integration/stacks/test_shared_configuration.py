"""The configuration of a running stack reaches other terminals through its home folder."""

from pathlib import Path

import pytest

from millrace.apps.stacks.embedded import EmbeddedStack
from millrace.kernel.settings import load_settings

pytestmark = pytest.mark.services


def test_another_terminal_has_the_settings_of_the_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILLRACE_IMPLIED_VALUES", '{"add_to_cart": 4.2, "dislike": null}')
    monkeypatch.setenv("MILLRACE_MAX_RECORD_BYTES", "2048")
    monkeypatch.setenv("MILLRACE_KAFKA_SASL_PASSWORD", "secret")
    with EmbeddedStack(tmp_path, triton=False, overrides={"list_length": 7}) as stack:
        for variable in ("IMPLIED_VALUES", "MAX_RECORD_BYTES", "KAFKA_SASL_PASSWORD"):
            monkeypatch.delenv(f"MILLRACE_{variable}")
        settings = load_settings(home=tmp_path)
        assert settings == stack.settings.model_copy(
            update={"kafka_sasl_password": "", "event_log": stack.settings.event_log_url}
        )
        assert settings.implied_values["add_to_cart"] == 4.2
        assert "dislike" not in settings.implied_values
        assert "secret" not in (tmp_path / "stack.json").read_text()
    assert load_settings(home=tmp_path).list_length == 10
