"""The jars of Kafka and Cassandra: pinned in a pom.xml, copied by Maven once, checked against committed checksums."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from millrace.kernel.errors import FatalError

_PINS = Path(__file__).with_name("jars")
# About 110 MB for both servers; a slow line gets ten minutes before it counts as broken.
_COPY_DEADLINE_S = 600.0
_SHOWN_LINES = 2


@dataclass(frozen=True, slots=True)
class JarSet:
    """The jars of one server.

    Args:
        name: Folder of its pom.xml and jars.sha256.
        pins: Folder of all such folders.
    """

    name: str
    pins: Path = _PINS

    @property
    def pom(self) -> Path:
        """The Maven project that names the server's version."""
        return self.pins / self.name / "pom.xml"

    @property
    def checksum_file(self) -> Path:
        """Every jar with its SHA-256, in the format of `sha256sum`."""
        return self.pins / self.name / "jars.sha256"

    def checksums(self) -> dict[str, str]:
        """Return file name -> SHA-256 in hexadecimal."""
        lines = (line.split() for line in self.checksum_file.read_text().splitlines() if line.strip())
        return {name: digest for digest, name in lines}

    def folder(self, cache: Path) -> Path:
        """Return where its jars are kept; other versions have other folders."""
        digest = hashlib.sha256(self.checksum_file.read_bytes()).hexdigest()
        return cache / f"{self.name}-{digest[:12]}"


KAFKA_JARS = JarSet("kafka")
CASSANDRA_JARS = JarSet("cassandra")


def cache_dir() -> Path:
    """Return the folder that keeps jars between runs and projects: XDG's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "millrace" / "jars"


def ensure_jars(jars: JarSet, cache: Path | None = None) -> Path:
    """Return a folder with exactly these jars, copying them by Maven where they are not cached yet.

    Once cached, nothing but the disk is needed. Every file is checked at every call: that takes a tenth of a second
    and turns a damaged cache into a repaired one.

    Args:
        jars: Which ones.
        cache: Where to keep them; default: `cache_dir()`.

    Raises:
        FatalError: Maven is missing or failed, a checksum differs, or the cache cannot be written.
    """
    cache = cache or cache_dir()
    folder = jars.folder(cache)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with _alone(cache / f"{jars.name}.lock"):
            if difference(folder, jars.checksums()):
                _copy(jars, folder)
    except OSError as error:
        raise FatalError(f"Jars cannot be kept in {cache}: {error.strerror}; set XDG_CACHE_HOME.") from None
    return folder


def difference(folder: Path, checksums: dict[str, str]) -> str:
    """Return what is wrong with the jars of a folder, in words; nothing if they are the listed ones."""
    there = {path.name for path in folder.glob("*.jar")}
    if missing := sorted(checksums.keys() - there):
        return f"{missing[0]} is missing"
    if excess := sorted(there - checksums.keys()):
        return f"{excess[0]} is not listed"
    for name, digest in checksums.items():
        with (folder / name).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                return f"{name} has another SHA-256 than listed"
    return ""


def _copy(jars: JarSet, folder: Path) -> None:
    """Copy into a folder beside it, check, then put it in place as a whole."""
    maven = shutil.which("mvn")
    if maven is None:
        raise FatalError(
            f"The jars of {jars.name} are copied by Maven once, and mvn is not on PATH: install maven "
            "(apt-get install maven, dnf install maven)."
        )
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{jars.name}-") as temporary:
        target = Path(temporary) / "lib"
        _run_maven(maven, jars, target)
        if problem := difference(target, jars.checksums()):
            raise FatalError(
                f"Maven's copy of {jars.name} is not what {jars.checksum_file} lists ({problem}): a mirror or proxy "
                "changes files, or pom.xml was changed without its list."
            )
        shutil.rmtree(folder, ignore_errors=True)
        target.rename(folder)


def _run_maven(maven: str, jars: JarSet, target: Path) -> None:
    command = [
        maven, "-q", "-B", "--strict-checksums", "-f", str(jars.pom),
        "dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={target}",
    ]  # fmt: skip
    try:
        done = subprocess.run(  # noqa: S603 - Maven with our own project file
            command, capture_output=True, text=True, timeout=_COPY_DEADLINE_S, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise FatalError(f"Maven took more than {_COPY_DEADLINE_S:.0f} s to copy {jars.name}; try again.") from None
    if done.returncode:
        told = [line for line in (done.stdout + done.stderr).splitlines() if "ERROR" in line][:_SHOWN_LINES]
        raise FatalError(
            f"Maven could not copy the jars of {jars.name}: {' '.join(told) or 'it said nothing'} "
            "(the first copy needs access to Maven Central or a mirror named in ~/.m2/settings.xml)."
        )


@contextmanager
def _alone(lock_file: Path) -> Iterator[None]:
    """Let one process at a time copy."""
    with lock_file.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
