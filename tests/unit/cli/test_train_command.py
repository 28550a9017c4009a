from pathlib import Path

import pytest

from millrace.apps.cli import train
from millrace.kernel.errors import ConfigurationError
from millrace.kernel.settings import Settings
from millrace.model.registry import Registry


def test_an_empty_log_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(train, "_news", lambda *_: ([], {}, {}))
    with pytest.raises(ConfigurationError, match="nothing to learn from"):
        train._trained(Settings(home=tmp_path), Registry(tmp_path), "log", 1.0, None, 0)
