"""A real Kafka whose clients have to encrypt and to log in."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local_servers import JVM_OPTIONS, READY_DEADLINE_S, started

from millrace.apps.stacks.kafka_server import KafkaCluster
from millrace.apps.stacks.ports import LOOPBACK, choose_port
from millrace.apps.stacks.service import wait_ready
from millrace.kernel.settings import Settings

LISTENER = "SECURE"
USER, PASSWORD = "shop", "not-a-secret"
_MODULES = "org.apache.kafka.common.security"


class SecuredKafka(KafkaCluster):
    """One broker with a second listener: TLS with a certificate of its own, and SASL by PLAIN and SCRAM."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, folder / "data", jvm_options=JVM_OPTIONS)
        self.port = choose_port(0, "Kafka with TLS")
        self.certificate, self._key_store = _certificate(folder)
        self.format_options = ("--add-scram", f"SCRAM-SHA-512=[name={USER},password={PASSWORD}]")

    def properties(self, number: int) -> dict[str, object]:
        properties = super().properties(number)
        address = f"{LISTENER}://{LOOPBACK}:{self.port}"
        for name, more in {
            "listeners": address,
            "advertised.listeners": address,
            "listener.security.protocol.map": f"{LISTENER}:SASL_SSL",
        }.items():
            properties[name] = f"{properties[name]},{more}"
        prefix = f"listener.name.{LISTENER.lower()}"
        plain = f'{_MODULES}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
        return {
            **properties,
            f"{prefix}.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",
            f"{prefix}.plain.sasl.jaas.config": plain,
            f"{prefix}.scram-sha-512.sasl.jaas.config": f"{_MODULES}.scram.ScramLoginModule required;",
            f"{prefix}.ssl.keystore.type": "PEM",
            f"{prefix}.ssl.keystore.location": self._key_store,
        }

    def client_settings(self, **changes: object) -> Settings:
        """Return settings of a client that encrypts and logs in."""
        return Settings(
            kafka_bootstrap=f"{LOOPBACK}:{self.port}",
            kafka_security_protocol="SASL_SSL",
            kafka_ssl_ca_file=self.certificate,
            kafka_sasl_username=USER,
            kafka_sasl_password=PASSWORD,
            kafka_fetch_wait_ms=10,
        ).model_copy(update=changes)


@contextmanager
def secured_kafka(folder: Path) -> Iterator[SecuredKafka]:
    """Run one for the length of a block."""
    cluster = SecuredKafka(folder)

    def start() -> None:
        for broker in cluster.brokers:
            broker.start()
        wait_ready(cluster.brokers, READY_DEADLINE_S)

    try:
        started(start, "Kafka with TLS")
        yield cluster
    finally:
        for broker in cluster.brokers:
            broker.stop()


def _certificate(folder: Path) -> tuple[Path, Path]:
    """Make a self-signed certificate; returns it alone, and with its key as a broker reads it."""
    certificate, key, both = folder / "certificate.pem", folder / "key.pem", folder / "broker.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", "/CN=millrace-test"),
            *("-addext", f"subjectAltName=IP:{LOOPBACK}"),
        ],
        check=True,
        capture_output=True,
    )
    both.write_text(key.read_text() + certificate.read_text())
    return certificate, both
