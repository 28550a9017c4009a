"""Finds the Java that the local stack's servers run on."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from millrace.kernel.errors import FatalError

# Cassandra 5.0 starts on 11 and 17 only, Kafka 4.1 on 17 or newer.
JAVA_VERSION = 17
# Where Linux distributions put Java, for a machine whose PATH leads to another version.
_DISTRIBUTION_DIR = Path("/usr/lib/jvm")
_VERSION = re.compile(r'version "(\d+)')
_ASK_DEADLINE_S = 20.0


def find_java() -> Path:
    """Return the `java` program of a Java 17.

    Looked for in JAVA_HOME, on PATH, then among the distribution's packages.

    Raises:
        FatalError: There is none; the text names the package to install.
    """
    found: dict[Path, int | None] = {}
    for program in _candidates():
        found[program] = _version(program)
        if found[program] == JAVA_VERSION:
            return program
    raise FatalError(
        f"The local stack needs Java {JAVA_VERSION} ({_seen(found)}): install openjdk-{JAVA_VERSION}-jre-headless "
        f"(Debian, Ubuntu) or java-{JAVA_VERSION}-openjdk-headless (Fedora), or set JAVA_HOME to it."
    )


def _candidates() -> Iterator[Path]:
    home = os.environ.get("JAVA_HOME")
    if home:
        yield Path(home) / "bin" / "java"
    on_path = shutil.which("java")
    if on_path:
        yield Path(on_path)
    yield from sorted(_DISTRIBUTION_DIR.glob(f"*{JAVA_VERSION}*/bin/java"))


def _version(program: Path) -> int | None:
    """Return the major version a program reports, None if it is no Java."""
    try:
        answer = subprocess.run(  # noqa: S603 - a Java of this machine
            [str(program), "-XX:-UsePerfData", "-version"],
            capture_output=True,
            text=True,
            timeout=_ASK_DEADLINE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = _VERSION.search(answer.stderr)
    return int(match[1]) if match else None


def _seen(found: dict[Path, int | None]) -> str:
    seen = [f"{program} is {version or 'no Java'}" for program, version in found.items()]
    return ", ".join(seen) or "no java on PATH"
