"""What the container files say, read once for all tests of them."""

import re
import tomllib
from pathlib import Path
from typing import Any

import typer
import yaml

from millrace.apps.cli.app import build_app
from millrace.kernel.settings import Settings

ROOT = Path(__file__).parents[3]
DOCKER = ROOT / "docker"
DOCKERFILE = (DOCKER / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
GPU: dict[str, Any] = yaml.safe_load((DOCKER / "compose.gpu.yaml").read_text())
KUBERNETES = DOCKER / "kubernetes" / "base"
EXTRAS: dict[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
ROLE_IMAGES = ("worker", "log-writer", "retrainer")


def stages() -> dict[str, list[tuple[str, str]]]:
    """Return the instructions of each stage of the Dockerfile, continued lines joined."""
    found: dict[str, list[tuple[str, str]]] = {}
    current: list[tuple[str, str]] = []
    text = re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE)
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            parent, name = re.fullmatch(r"(\S+) AS (\S+)", rest).groups()  # type: ignore[union-attr]
            # A stage begins with what the one it is made from says.
            current = found[name] = list(found.get(parent, []))
        current.append((word, rest))
    return found


def last(stage: str, word: str) -> str:
    """Return the arguments of the last such instruction that holds in a stage."""
    return [rest for name, rest in stages()[stage] if name == word][-1]


def environment(stage: str) -> dict[str, str]:
    """Return the variables of a stage."""
    return dict(pair.split("=", 1) for name, rest in stages()[stage] if name == "ENV" for pair in rest.split())


def copied() -> list[str]:
    """Return what is copied from the tree into any stage."""
    lines = {rest for instructions in stages().values() for name, rest in instructions if name == "COPY"}
    return sorted({source for line in lines if not line.startswith("--from") for source in line.split()[:-1]})


def manifests(*names: str) -> list[dict[str, Any]]:
    """Return the Kubernetes objects of the given files, of all by default."""
    paths = [KUBERNETES / name for name in names] or sorted(KUBERNETES.glob("*.yaml"))
    found = [one for path in paths for one in yaml.safe_load_all(path.read_text())]
    return [one for one in found if one["kind"] != "Kustomization"]


def check_command(arguments: list[str]) -> None:
    """Fail unless `millrace` has this command and the command takes these options."""
    commands = typer.main.get_command(build_app()).commands  # type: ignore[attr-defined]
    name, *options = arguments
    assert name in commands, f"millrace has no command {name}"
    commands[name].make_context(name, list(options))


def check_settings(variables: dict[str, str]) -> None:
    """Fail unless every MILLRACE variable is a setting."""
    known = {f"MILLRACE_{name.upper()}" for name in Settings.model_fields}
    assert {name for name in variables if name.startswith("MILLRACE_")} <= known
