"""The compose files: valid by the specification, and at one with the images, the commands and the settings."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from millrace.kernel.settings import load_settings
from millrace.model.triton_admin import STATIC_FILES
from millrace.stores.event_log.cassandra_address import parse_address
from tests.unit.docker.container_files import (
    COMPOSE,
    GPU,
    ROOT,
    check_command,
    check_settings,
    environment,
    last,
    stages,
)

SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OWN = [name for name, service in SERVICES.items() if "build" in service]
ROLES = [name for name in OWN if name != "triton"]
# The specification's own schema; where it is from: compose_spec/README.md.
SCHEMA = json.loads((Path(__file__).parent / "compose_spec" / "compose-spec.json").read_text())


@pytest.mark.parametrize("document", [COMPOSE, GPU], ids=["compose", "gpu"])
def test_the_specification_allows_it(document: dict[str, Any]) -> None:
    jsonschema.validate(document, SCHEMA, cls=jsonschema.Draft202012Validator)


def test_the_schema_refuses_what_is_none() -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"services": {"a": {"imagee": "x"}}}, SCHEMA, cls=jsonschema.Draft202012Validator)


@pytest.mark.parametrize("name", ROLES)
def test_every_role_runs_a_command_that_exists(name: str) -> None:
    check_command(SERVICES[name]["command"])


@pytest.mark.parametrize("name", OWN)
def test_every_build_names_a_stage_and_its_context(name: str) -> None:
    build = SERVICES[name]["build"]
    assert build["target"] in stages()
    assert (ROOT / "docker" / build["context"]).resolve() == ROOT
    assert (ROOT / build["dockerfile"]).exists()


def test_the_role_of_a_service_is_in_its_image() -> None:
    targets = {name: SERVICES[name]["build"]["target"] for name in OWN}
    assert targets == {
        "triton": "model-server", "topics": "log-writer", "log-schema": "log-writer", "worker": "worker",
        "statistics": "worker", "log-writer": "log-writer", "retrainer": "retrainer",
    }  # fmt: skip


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_limited_and_comes_back(name: str) -> None:
    service = SERVICES[name]
    limits = service["deploy"]["resources"]["limits"]
    assert set(limits) == {"cpus", "memory"}
    once = name in {"topics", "log-schema"}
    assert service["restart"] == ("no" if once else "unless-stopped")
    assert service["networks"] == list(COMPOSE["networks"])


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_waits_for_what_can_become_true(name: str) -> None:
    for other, when in SERVICES[name].get("depends_on", {}).items():
        service = SERVICES[other]
        if when["condition"] == "service_completed_successfully":
            assert service["restart"] == "no"
        else:
            assert when["condition"] == "service_healthy"
            image_has_one = "build" in service and last(service["build"]["target"], "HEALTHCHECK")
            assert service.get("healthcheck", {}).get("test") or image_has_one


def test_the_start_order_has_no_circle() -> None:
    waits = {name: set(service.get("depends_on", {})) for name, service in SERVICES.items()}
    started: set[str] = set()
    while ready := {name for name, needs in waits.items() if needs <= started} - started:
        started |= ready
    assert started == set(SERVICES)
    assert {"topics", "log-schema"} <= waits["log-writer"]
    assert waits["worker"] == {"topics", "redis", "triton"}


def test_every_volume_is_declared_and_mounted_where_the_image_writes() -> None:
    for name, service in SERVICES.items():
        for volume, target in (mount.split(":") for mount in service.get("volumes", [])):
            assert volume in COMPOSE["volumes"]
            if name in ROLES:
                written = {
                    last(service["build"]["target"], "VOLUME"),
                    service["environment"]["MILLRACE_TRITON_REPOSITORY"],
                }
                assert target in written
    mounted = {mount.split(":")[0] for service in SERVICES.values() for mount in service.get("volumes", [])}
    assert mounted == set(COMPOSE["volumes"])
    kafka = SERVICES["kafka"]
    assert kafka["volumes"] == [f"kafka:{kafka['environment']['KAFKA_LOG_DIRS']}"]


def test_published_ports_are_bound_to_loopback() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize("name", ROLES)
def test_the_roles_settings_lead_to_the_servers(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    service = SERVICES[name]
    variables = {**environment(service["build"]["target"]), **service["environment"]}
    check_settings(variables)
    for variable, value in variables.items():
        monkeypatch.setenv(variable, str(value).replace("$PATH", ""))
    settings = load_settings()
    host, port = settings.kafka_bootstrap.split(":")
    assert host in SERVICES
    assert f"INTERNAL://{host}:{port}" in SERVICES[host]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert f"INTERNAL://:{port}" in SERVICES[host]["environment"]["KAFKA_LISTENERS"]
    assert settings.redis_url.removeprefix("redis://").split(":")[0] in SERVICES
    triton, grpc_port = settings.triton_url.split(":")
    assert grpc_port in last(SERVICES[triton]["build"]["target"], "EXPOSE").split()
    assert settings.triton_backend in STATIC_FILES
    log = parse_address(settings.event_log_url)
    assert log.data_centre == SERVICES["cassandra"]["environment"]["CASSANDRA_DC"]
    assert settings.cassandra_replication == {log.data_centre: 1}


def test_the_one_cassandra_acknowledges_nothing_before_it_is_on_disk() -> None:
    options = SERVICES["cassandra"]["environment"]["JVM_EXTRA_OPTS"].split()
    assert "-Dcassandra.settings.commitlog_sync=batch" in options
    assert "-Dcassandra.config.allow_system_properties=true" in options


def test_a_gpu_changes_the_server_and_what_is_written_for_it() -> None:
    assert set(GPU["services"]) <= set(SERVICES)
    assert GPU["services"]["retrainer"]["environment"] == {"MILLRACE_TRITON_BACKEND": "onnxruntime"}
    (device,) = GPU["services"]["triton"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]


def test_merge_keys_left_nothing_behind() -> None:
    assert "<<" not in yaml.safe_dump(COMPOSE)
