"""Java is found by its version, wherever it is."""

from pathlib import Path

import pytest

from millrace.apps.stacks import java
from millrace.apps.stacks.java import find_java
from millrace.kernel.errors import FatalError


def install(home: Path, version: str) -> Path:
    """Make a program that says it is this Java."""
    program = home / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-04-15' >&2\n")
    program.chmod(0o755)
    return program


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "path" / "bin"))
    monkeypatch.setattr(java, "_DISTRIBUTION_DIR", tmp_path / "jvm")


def test_java_home_comes_before_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "path", "17.0.15")
    wanted = install(tmp_path / "home", "17.0.1")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    assert find_java() == wanted


def test_another_version_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "home", "1.8.0_392")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    install(tmp_path / "path", "21.0.1")
    wanted = install(tmp_path / "jvm" / "java-17-openjdk-amd64", "17.0.15")
    assert find_java() == wanted


def test_without_one_the_package_is_named(tmp_path: Path) -> None:
    with pytest.raises(FatalError, match=r"needs Java 17 \(no java on PATH\): install openjdk-17-jre-headless"):
        find_java()
    program = install(tmp_path / "path", "21.0.1")
    with pytest.raises(FatalError, match=rf"needs Java 17 \({program} is 21\): install openjdk-17-jre-headless"):
        find_java()


def test_a_program_that_is_no_java_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "home" / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text("not a program")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    with pytest.raises(FatalError, match=rf"\({program} is no Java\)"):
        find_java()
