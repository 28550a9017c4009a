"""The container files cannot be run everywhere; what they refer to can be checked everywhere."""

import re
from pathlib import Path

import pytest
import typer
import yaml

from millrace.cli.app import build_app

ROOT = Path(__file__).parents[3]
COMPOSE = yaml.safe_load((ROOT / "docker/compose.yaml").read_text())
OWN_SERVICES = [name for name, service in COMPOSE["services"].items() if "build" in service]


@pytest.mark.parametrize("name", OWN_SERVICES)
def test_every_role_runs_a_command_that_exists(name: str) -> None:
    commands = typer.main.get_command(build_app()).commands  # type: ignore[attr-defined]
    assert COMPOSE["services"][name]["command"][0] in commands


@pytest.mark.parametrize("name", OWN_SERVICES)
def test_every_build_names_a_stage_of_the_dockerfile(name: str) -> None:
    stages = re.findall(r"^FROM .* AS (\S+)$", (ROOT / "docker/Dockerfile").read_text(), re.MULTILINE)
    assert COMPOSE["services"][name]["build"]["target"] in stages


def test_every_dependency_and_volume_is_declared() -> None:
    services = COMPOSE["services"]
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
        named = {volume.split(":")[0] for volume in service.get("volumes", [])}
        assert named <= set(COMPOSE["volumes"])


def test_published_ports_are_bound_to_loopback() -> None:
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_every_file_the_dockerfile_copies_exists() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "docker/Dockerfile").read_text(), re.MULTILINE)
    names = [name for line in copied for name in line.split()]
    assert names
    assert all((ROOT / name).exists() for name in names if name != "README.md")
