import subprocess
import sys
from pathlib import Path

import pytest

from millrace.kernel.errors import ConfigurationError
from millrace.streams import compiled

_PACKAGE = {
    "compiled.py": Path(compiled.__file__).read_text(),
    "numbers.py": "NUMBER = 1\n",
    "kernel.py": """
from kernels.compiled import compiled
from kernels.numbers import NUMBER


@compiled
def kernel():
    return NUMBER


print(kernel(), sum(kernel.stats.cache_hits.values()))
""",
}


def _run(folder):
    done = subprocess.run(
        [sys.executable, "-m", "kernels.kernel"], cwd=folder, capture_output=True, text=True, timeout=120, check=True
    )
    return tuple(int(number) for number in done.stdout.split())


@pytest.fixture
def package(tmp_path):
    folder = tmp_path / "kernels"
    folder.mkdir()
    for name, text in _PACKAGE.items():
        (folder / name).write_text(text)
    return folder


def test_kept_code_is_void_once_another_file_of_the_package_has_changed(package):
    assert _run(package.parent) == (1, 0)
    assert _run(package.parent) == (1, 1)
    (package / "numbers.py").write_text("NUMBER = 1  # as before\n")
    assert _run(package.parent) == (1, 0)
    (package / "numbers.py").write_text("NUMBER = 2  # no more\n")
    assert _run(package.parent) == (2, 0)


def test_kept_code_for_a_tuple_that_is_gone_is_not_looked_into(package):
    kernel = (package / "kernel.py").read_text()
    pair = "from typing import NamedTuple\n\n\nclass {name}(NamedTuple):\n    one: int\n"
    called = kernel.replace("def kernel():", "def kernel(pair):").replace("kernel(),", "kernel({name}(1)),")
    called = called.replace("import NUMBER", "import NUMBER\nfrom kernels.pair import {name}")
    for name in ("Pair", "Twins"):
        (package / "pair.py").write_text(pair.format(name=name))
        (package / "kernel.py").write_text(called.format(name=name))
        assert _run(package.parent) == (1, 0)


def test_without_a_folder_for_compiled_kernels_there_is_one_sentence(monkeypatch):
    monkeypatch.setattr("numba.core.caching.CacheImpl._locator_classes", [])
    with pytest.raises(ConfigurationError, match=r"^Compiled kernels cannot be kept .*; set NUMBA_CACHE_DIR to"):
        compiled.compiled(lambda number: number)
