"""Start a command that ends when the process that asked for it ends, however that happens.

Run as a script, `python -I -S launcher.py PARENT_PID COMMAND...`: it must start in milliseconds, so it imports nothing
of Millrace. It asks the kernel for SIGTERM on the death of the parent and then becomes the command, so there is no
process in between. A `preexec_fn` would do the same but may deadlock in a parent that has threads.

Linux only: elsewhere the command simply starts, and an orderly stop of the parent is what ends it.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
NOT_FOUND = 127


def main(parent: int, command: list[str]) -> int:
    """Tie this process to its parent and become the command.

    Args:
        parent: Process id of the caller.
        command: Program and arguments; the program is looked up on PATH.

    Returns:
        An exit code, only if the command could not be started.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    # A parent that died before the request above would never be noticed.
    if os.getppid() != parent:
        return 128 + signal.SIGTERM
    # Python ignores these two, and a program inherits what is ignored.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)  # noqa: S606 - the command comes from Millrace itself
    except OSError as error:
        sys.stderr.write(f"{command[0]} could not be started: {error.strerror}.\n")
    return NOT_FOUND


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
