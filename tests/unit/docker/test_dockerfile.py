"""The images cannot be built everywhere; what they refer to can be checked everywhere."""

import fnmatch
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from millrace.kernel.settings import load_settings
from tests.unit.docker.container_files import (
    DOCKER,
    EXTRAS,
    ROLE_IMAGES,
    ROOT,
    check_command,
    check_settings,
    copied,
    environment,
    last,
    stages,
)


def test_hadolint_has_nothing_to_say() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    run = subprocess.run([str(hadolint), str(DOCKER / "Dockerfile")], capture_output=True, text=True)
    assert (run.stdout, run.returncode) == ("", 0)


def test_what_is_copied_exists_and_is_let_through_to_the_builder() -> None:
    ignored = (DOCKER / "Dockerfile.dockerignore").read_text().splitlines()
    assert ignored[1] == "*"
    let_through = {line[1:] for line in ignored if line.startswith("!")}
    assert copied()
    for source in copied():
        assert (ROOT / source).exists(), source
        assert any(fnmatch.fnmatch(source, pattern) for pattern in let_through), source
    assert let_through == set(copied())


def test_stages_that_are_copied_from_exist() -> None:
    named = {name for one in stages().values() for word, rest in one for name in re.findall(r"--from=(\S+)", rest)}
    assert named
    assert named <= set(stages())


@pytest.mark.parametrize("image", ROLE_IMAGES)
def test_a_role_image_is_complete(image: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert json.loads(last(image, "ENTRYPOINT")) == ["millrace"]
    check_command(json.loads(last(image, "CMD")))
    variables = environment(image)
    check_settings(variables)
    for name, value in variables.items():
        monkeypatch.setenv(name, value.replace("$PATH", ""))
    settings = load_settings()
    assert (settings.stack, settings.health_host) == ("external", "0.0.0.0")  # noqa: S104 - inside a container
    assert last(image, "EXPOSE") == str(settings.health_port)
    assert last(image, "VOLUME") == str(settings.home) == last(image, "WORKDIR")
    assert environment(image)["NUMBA_CACHE_DIR"].startswith(f"{settings.home}/")


@pytest.mark.parametrize("image", [*ROLE_IMAGES, "model-server"])
def test_no_image_runs_as_root_and_each_has_a_health_check(image: str) -> None:
    user, group = last(image, "USER").split(":")
    assert int(user) >= 1000
    assert int(group) >= 1000
    assert " CMD [" in last(image, "HEALTHCHECK")


def test_both_sides_of_the_model_volume_are_the_same_user() -> None:
    assert last("retrainer", "USER") == last("model-server", "USER")
    owner = last("retrainer", "USER").partition(":")[0]
    for image in ("retrainer", "model-server"):
        assert any(f"-o {owner}" in rest and "/triton" in rest for word, rest in stages()[image] if word == "RUN")


def test_the_model_server_starts_as_in_the_local_stack() -> None:
    from millrace.apps.stacks.triton_server import TritonServer

    server = TritonServer(Path("logs"), Path("work"), Path("/triton"))
    local = set(server._options(Path("backends")))
    command, *options = json.loads(last("model-server", "CMD"))
    assert command == "tritonserver"
    assert set(options) <= local


@pytest.mark.parametrize("image", ROLE_IMAGES)
def test_the_extras_of_an_image_exist(image: str) -> None:
    (extras,) = re.findall(r"millrace-recommender\[([a-z,-]+)\]", last(f"build-{image}", "RUN"))
    assert set(extras.split(",")) <= set(EXTRAS)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as the build stage makes it, from nothing but what is copied there, unpacked."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in copied():
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        elif "/" not in name:
            shutil.copy(ROOT / name, source / name)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(out), str(source)],
        check=True,
    )
    (file,) = out.glob("*.whl")
    shutil.unpack_archive(file, out / "unpacked", "zip")
    return out / "unpacked"


def test_the_wheel_holds_every_module_and_the_static_part_of_tritons_repository(wheel: Path) -> None:
    folders = ("", "producers/", "streams/", "consumers/", "model/", "load_tests/")
    modules = {path.relative_to(ROOT) for name in folders for path in (ROOT / "millrace" / name).rglob("*.py")}
    assert len(modules) > 200
    missing = {str(path) for path in modules if not (wheel / path).exists()}
    assert not missing
    static = (ROOT / "millrace" / "triton_repo" / "").rglob("*")
    in_tree = {path.relative_to(ROOT) for path in static if path.suffix in {".pbtxt", ".py"}}
    assert len(in_tree) == 4
    assert all((wheel / path).exists() for path in in_tree)


def test_commands_run_from_the_wheel_alone(wheel: Path, tmp_path: Path) -> None:
    code = "import millrace.model.triton_admin as a, millrace; print(millrace.__file__); print(a.TEMPLATE_DIR.is_dir())"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(wheel), "PATH": "/usr/bin:/bin"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.split() == [str(wheel / "millrace" / "__init__.py"), "True"]
