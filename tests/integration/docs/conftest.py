"""One running installation for all snippets of the documentation."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from docs_pages import ROOT, Reader
from running_up import running_up

# As docs/how-to/extend.md says.
_SETTINGS = {
    "MILLRACE_IMPLIED_VALUES": '{"add_to_cart": 4.2}',
    "MILLRACE_EVENT_WEIGHTS": '{"add_to_cart": 1.2}',
}
# A worker of a fresh checkout compiles its kernels before the first list: half a minute of an idle core.
_FIRST_LIST = (
    "millrace publish --user first --item 1 --type view; millrace subscribe --user first --from earliest --limit 1"
)
_COMPILING_S = 400.0


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """Return a reader whose first terminal runs `millrace up`."""
    folder = tmp_path_factory.mktemp("reader")
    for name in (".venv", "data", "Makefile"):
        (folder / name).symlink_to(ROOT / name)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MILLRACE_")}
    environment |= {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONUNBUFFERED": "1"}
    with running_up(folder, environment | _SETTINGS):
        reader = Reader(folder, environment)
        reader.run(["bash", "-ec", _FIRST_LIST], _COMPILING_S)
        yield reader
