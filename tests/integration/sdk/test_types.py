"""A type checker in an app's environment sees the types of the installed SDK."""

import re
import subprocess
import sys
from pathlib import Path

from installed_sdk import Environment

SCRIPT = Path(__file__).with_name("typed_app.py")
_CHECK_S = 120.0


def test_an_app_is_checked_against_the_installed_wheel(app_environment: Environment, tmp_path: Path) -> None:
    app = tmp_path / "app.py"
    app.write_text(SCRIPT.read_text())
    options = ["--strict", "--config-file", "", "--cache-dir", str(tmp_path / "cache"), "--no-error-summary"]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "mypy", *options, "--python-executable", str(app_environment.python), app.name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=_CHECK_S,
        check=False,
    )
    refused = re.findall(r"^app\.py:(\d+): error: .* \[([\w-]+)\]$", done.stdout, re.MULTILINE)
    expected = [
        (str(number), code)
        for number, line in enumerate(app.read_text().splitlines(), 1)
        for code in re.findall(r"# expect: ([\w-]+)$", line)
    ]
    assert refused == expected, done.stdout + done.stderr
