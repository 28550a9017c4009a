"""The Kubernetes manifests: valid by the API's schemas, and at one with the images, the commands and the settings."""

from typing import Any

import kubernetes_validate
import pytest
import yaml

from millrace.kernel.settings import load_settings
from millrace.stores.event_log.cassandra_address import parse_address
from tests.unit.docker.container_files import (
    KUBERNETES,
    ROLE_IMAGES,
    check_command,
    check_settings,
    last,
    manifests,
)

VERSION = "1.33"
OBJECTS = manifests()
KEDA = [one for one in OBJECTS if one["apiVersion"] == "keda.sh/v1alpha1"]
BUILT_IN = [one for one in OBJECTS if one not in KEDA]
WORKLOADS = {one["metadata"]["name"]: one for one in OBJECTS if one["kind"] in {"Deployment", "StatefulSet", "Job"}}
ROLES = ("worker", "statistics", "log-writer", "retrainer")


def named(kind: str, name: str) -> dict[str, Any]:
    (found,) = (one for one in OBJECTS if (one["kind"], one["metadata"]["name"]) == (kind, name))
    return found


def pod(name: str) -> dict[str, Any]:
    spec: dict[str, Any] = WORKLOADS[name]["spec"]["template"]["spec"]
    return spec


def containers(name: str) -> list[dict[str, Any]]:
    return [*pod(name).get("initContainers", []), *pod(name)["containers"]]


def variables() -> dict[str, str]:
    return {**named("ConfigMap", "millrace")["data"], **named("Secret", "millrace")["stringData"]}


@pytest.mark.parametrize("document", BUILT_IN, ids=lambda one: f"{one['kind']}-{one['metadata']['name']}")
def test_the_api_takes_it(document: dict[str, Any]) -> None:
    kubernetes_validate.validate(document, VERSION, strict=True)


def test_the_schemas_refuse_what_is_none() -> None:
    broken = yaml.safe_load(yaml.safe_dump(WORKLOADS["worker"]))
    broken["spec"]["replica"] = 2
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, VERSION, strict=True)


def test_the_kustomization_names_every_file_and_image() -> None:
    kustomization = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())
    files = {path.name for path in KUBERNETES.glob("*.yaml")} - {"kustomization.yaml", "secret.example.yaml"}
    assert set(kustomization["resources"]) == files
    used = {container["image"] for name in WORKLOADS for container in containers(name)}
    assert {image["name"] for image in kustomization["images"]} == used
    assert used == {f"millrace-{name}" for name in (*ROLE_IMAGES, "model-server")}


def test_the_gpu_overlay_changes_what_is_there() -> None:
    overlay = yaml.safe_load((KUBERNETES.parent / "gpu" / "kustomization.yaml").read_text())
    assert [(KUBERNETES.parent / "gpu" / path).resolve() for path in overlay["resources"]] == [KUBERNETES]
    for patch in overlay["patches"]:
        target = named(patch["target"]["kind"], patch["target"]["name"])
        for operation in yaml.safe_load(patch["patch"]):
            *parents, key = operation["path"].strip("/").split("/")
            place: Any = target
            for step in parents:
                place = place[int(step)] if isinstance(place, list) else place[step]
            assert operation["op"] == "add" or key in place


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_pod_may_do_little(name: str) -> None:
    assert pod(name)["securityContext"]["runAsNonRoot"] is True
    assert pod(name)["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod(name)["automountServiceAccountToken"] is False
    for container in containers(name):
        user = last(container["image"].removeprefix("millrace-"), "USER").partition(":")[0]
        assert pod(name)["securityContext"]["runAsUser"] == int(user)
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert set(container["resources"]) == {"requests", "limits"}
        assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("name", [*ROLES, "setup"])
def test_a_role_runs_a_command_of_its_image_and_may_write_where_it_must(name: str) -> None:
    claims = {one["metadata"]["name"] for one in OBJECTS if one["kind"] == "PersistentVolumeClaim"}
    volumes = {volume["name"]: volume for volume in pod(name)["volumes"]}
    for claim in (
        volume["persistentVolumeClaim"]["claimName"]
        for volume in volumes.values()
        if len(volume) > 1 and "persistentVolumeClaim" in volume
    ):
        assert claim in claims
    for container in containers(name):
        image = container["image"].removeprefix("millrace-")
        check_command(container["args"])
        mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
        assert set(mounts.values()) <= set(volumes)
        # The root is read-only.
        assert {last(image, "VOLUME"), "/tmp"} <= set(mounts)  # noqa: S108 - of a container
        assert container["envFrom"] == [{"configMapRef": {"name": "millrace"}}, {"secretRef": {"name": "millrace"}}]


@pytest.mark.parametrize("name", [*ROLES, "model-server"])
def test_probes_ask_what_the_image_answers(name: str) -> None:
    (container,) = pod(name)["containers"]
    ports = {port["name"]: str(port["containerPort"]) for port in container["ports"]}
    image = container["image"].removeprefix("millrace-")
    assert set(ports.values()) == set(last(image, "EXPOSE").split())
    for probe, path in (("startupProbe", "/health"), ("readinessProbe", "/ready"), ("livenessProbe", "/health")):
        asked = container[probe]["httpGet"]
        assert asked["port"] in ports
        if name in ROLES:
            assert asked["path"] == path
        else:
            assert asked["path"] in {"/v2/health/ready", "/v2/health/live"}


def test_the_settings_lead_to_the_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    check_settings(variables())
    for name, value in variables().items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    service, port = settings.triton_url.split(":")
    assert int(port) in [one["port"] for one in named("Service", service)["spec"]["ports"]]
    assert set(settings.cassandra_replication) == {parse_address(settings.event_log_url).data_centre}
    repository = str(settings.triton_repository_dir)
    for name in ("retrainer", "model-server"):
        (container,) = pod(name)["containers"]
        assert repository in {mount["mountPath"] for mount in container["volumeMounts"]}


def test_services_select_pods_and_ports_that_exist() -> None:
    for service in (one for one in OBJECTS if one["kind"] == "Service"):
        workload = WORKLOADS[service["metadata"]["name"]]
        assert workload["spec"]["template"]["metadata"]["labels"] == service["spec"]["selector"]
        (container,) = workload["spec"]["template"]["spec"]["containers"]
        names = {port["name"] for port in container["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= names


def test_there_is_one_keeper_and_never_two() -> None:
    keeper = WORKLOADS["statistics"]
    assert (keeper["kind"], keeper["spec"]["replicas"]) == ("StatefulSet", 1)


def test_workers_follow_the_lag_of_their_own_group(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables().items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    scaled = named("ScaledObject", "worker")["spec"]
    assert scaled["scaleTargetRef"]["name"] in WORKLOADS
    assert "replicas" not in WORKLOADS["worker"]["spec"]
    assert scaled["maxReplicaCount"] == settings.topic_partitions
    (trigger,) = scaled["triggers"]
    assert trigger["type"] == "kafka"
    told = trigger["metadata"]
    assert all(isinstance(value, str) for value in told.values())
    assert told["bootstrapServers"] == settings.kafka_bootstrap
    assert told["consumerGroup"] == f"{settings.group_prefix}worker"
    assert told["topic"] == settings.topics.events
    assert int(told["lagThreshold"]) > settings.max_batch_events
    login = named("TriggerAuthentication", trigger["authenticationRef"]["name"])["spec"]["secretTargetRef"]
    for reference in login:
        assert reference["key"] in named("Secret", reference["name"])["stringData"]
    sasl = named("Secret", "kafka-scaler")["stringData"]["sasl"]
    assert sasl == settings.kafka_sasl_mechanism.lower().replace("-sha-", "_sha")


def test_a_disruption_takes_one_worker_at_a_time() -> None:
    budget = named("PodDisruptionBudget", "worker")["spec"]
    assert budget["maxUnavailable"] == 1
    assert budget["selector"] == WORKLOADS["worker"]["spec"]["selector"]
