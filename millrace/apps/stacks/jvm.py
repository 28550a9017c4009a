"""The command line of a server that runs on Java."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Jvm:
    """A Java with the jars of one server.

    Args:
        java: The `java` program.
        jars: Folder of the jars; all of them are on the class path.
        temporary: An existing folder for what Java would put into /tmp: native libraries it unpacks.
    """

    java: Path
    jars: Path
    temporary: Path

    def command(self, main: str, heap_mb: int, options: Sequence[str], arguments: Sequence[str] = ()) -> list[str]:
        """Return program and arguments.

        Args:
            main: The main class.
            heap_mb: Most heap it may use, in MiB.
            options: More options of the JVM.
            arguments: Arguments of the main class.
        """
        return [
            str(self.java),
            f"-Xmx{heap_mb}m",
            # Without it every JVM leaves a file in /tmp/hsperfdata_USER.
            "-XX:-UsePerfData",
            # A server without memory is to end and be started again, not to limp on.
            "-XX:+ExitOnOutOfMemoryError",
            f"-Djava.io.tmpdir={self.temporary}",
            # Into the working directory otherwise.
            f"-XX:ErrorFile={self.temporary}/crash-%p.log",
            *options,
            "-cp",
            f"{self.jars}/*",
            main,
            *arguments,
        ]
