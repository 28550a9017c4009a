"""Jars come from Maven once, and only those listed are used."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from millrace.apps.stacks.jars import CASSANDRA_JARS, KAFKA_JARS, JarSet, cache_dir, difference, ensure_jars
from millrace.kernel.errors import FatalError

CONTENT = b"a jar"
# Copies what lies beside it to the folder it is told, as Maven does, and keeps count.
MAVEN = """#!/bin/sh
echo called >> {folder}/calls
for word in "$@"; do
  case "$word" in -DoutputDirectory=*) target="${{word#*=}}" ;; esac
done
mkdir -p "$target" && cp {folder}/*.jar "$target"
"""
FAILING_MAVEN = "#!/bin/sh\necho '[ERROR] Could not transfer artifact'\nexit 1\n"

Install = Callable[[str], None]


@pytest.fixture
def jars(tmp_path: Path) -> JarSet:
    """Return a server of one jar."""
    pins = tmp_path / "pins" / "server"
    pins.mkdir(parents=True)
    (pins / "pom.xml").write_text("<project/>")
    (pins / "jars.sha256").write_text(f"{hashlib.sha256(CONTENT).hexdigest()}  one.jar\n")
    return JarSet("server", tmp_path / "pins")


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    """Return the folder that stands for Maven's repository."""
    folder = tmp_path / "remote"
    folder.mkdir()
    (folder / "one.jar").write_bytes(CONTENT)
    return folder


@pytest.fixture
def install(tmp_path: Path, remote: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Return what makes a script the only `mvn` on PATH."""

    def do(script: str) -> None:
        program = tmp_path / "bin" / "mvn"
        program.parent.mkdir(exist_ok=True)
        program.write_text(script.format(folder=remote))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}/bin{os.pathsep}/usr/bin")

    return do


def calls(remote: Path) -> int:
    path = remote / "calls"
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_jars_are_copied_once(jars: JarSet, remote: Path, install: Install, tmp_path: Path) -> None:
    install(MAVEN)
    folder = ensure_jars(jars, tmp_path / "cache")
    assert [path.name for path in folder.iterdir()] == ["one.jar"]
    assert ensure_jars(jars, tmp_path / "cache") == folder
    assert calls(remote) == 1
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == sorted([folder.name, "server.lock"])


def test_cached_jars_need_no_maven(
    jars: JarSet, install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(MAVEN)
    ensure_jars(jars, tmp_path / "cache")
    monkeypatch.setenv("PATH", str(tmp_path))
    ensure_jars(jars, tmp_path / "cache")


def test_a_damaged_cache_is_repaired(jars: JarSet, remote: Path, install: Install, tmp_path: Path) -> None:
    install(MAVEN)
    folder = ensure_jars(jars, tmp_path / "cache")
    (folder / "one.jar").write_bytes(b"something else")
    ensure_jars(jars, tmp_path / "cache")
    assert (folder / "one.jar").read_bytes() == CONTENT
    assert calls(remote) == 2


def test_a_jar_with_another_content_is_refused(jars: JarSet, remote: Path, install: Install, tmp_path: Path) -> None:
    install(MAVEN)
    (remote / "one.jar").write_bytes(b"something else")
    with pytest.raises(FatalError, match=r"one\.jar has another SHA-256 than listed"):
        ensure_jars(jars, tmp_path / "cache")
    assert not jars.folder(tmp_path / "cache").exists()


def test_a_jar_nobody_listed_is_refused(jars: JarSet, remote: Path, install: Install, tmp_path: Path) -> None:
    install(MAVEN)
    (remote / "two.jar").write_bytes(CONTENT)
    with pytest.raises(FatalError, match=r"two\.jar is not listed"):
        ensure_jars(jars, tmp_path / "cache")


def test_without_maven_the_package_is_named(jars: JarSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FatalError, match="mvn is not on PATH: install maven"):
        ensure_jars(jars, tmp_path / "cache")


def test_what_maven_says_is_passed_on(jars: JarSet, install: Install, tmp_path: Path) -> None:
    install(FAILING_MAVEN)
    with pytest.raises(FatalError, match=r"^Maven could not copy the jars of server: \[ERROR\] Could not transfer"):
        ensure_jars(jars, tmp_path / "cache")


def test_the_cache_follows_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "millrace" / "jars"


@pytest.mark.parametrize(("jars", "main"), [(KAFKA_JARS, "kafka_2.13-4.1.1"), (CASSANDRA_JARS, "cassandra-all-5.0.6")])
def test_the_committed_lists_name_the_servers(jars: JarSet, main: str) -> None:
    checksums = jars.checksums()
    assert f"{main}.jar" in checksums
    assert all(len(digest) == 64 for digest in checksums.values())
    name, version = main.rsplit("-", 1)
    pom = jars.pom.read_text()
    assert f"<artifactId>{name}</artifactId>" in pom
    assert f"<version>{version}</version>" in pom


def test_a_missing_jar_is_a_difference(tmp_path: Path) -> None:
    assert difference(tmp_path, {"one.jar": "0"}) == "one.jar is missing"
