import subprocess
import sys
from pathlib import Path

import streams.compiled

_PACKAGE = {
    "compiled.py": None,
    "numbers.py": "NUMBER = 1\n",
    "kernel.py": """
from streams.compiled import compiled
from streams.numbers import NUMBER


@compiled
def kernel():
    return NUMBER


print(kernel(), sum(kernel.stats.cache_hits.values()))
""",
}


def _run(folder):
    done = subprocess.run(
        [sys.executable, "-m", "streams.kernel"], cwd=folder, capture_output=True, text=True, timeout=120, check=True
    )
    return tuple(int(number) for number in done.stdout.split())


def test_kept_code_is_void_once_another_file_of_the_package_has_changed(tmp_path):
    package = tmp_path / "streams"
    package.mkdir()
    for name, text in _PACKAGE.items():
        (package / name).write_text(text or Path(streams.compiled.__file__).read_text())

    assert _run(tmp_path) == (1, 0)
    assert _run(tmp_path) == (1, 1)
    (package / "numbers.py").write_text("NUMBER = 1  # as before\n")
    assert _run(tmp_path) == (1, 0)
    (package / "numbers.py").write_text("NUMBER = 2  # no more\n")
    assert _run(tmp_path) == (2, 0)
