"""What every Kafka client of Millrace is told about the brokers: addresses, encryption, login."""

from typing import Any

from millrace.config import Settings
from millrace.errors import ConfigurationError


def kafka_options(settings: Settings) -> dict[str, Any]:
    """Return the arguments that every kafka-python client takes.

    Raises:
        ConfigurationError: A login is asked for without a name.
    """
    options: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap.split(","),
        "security_protocol": settings.kafka_security_protocol,
    }
    if settings.kafka_encrypted:
        options |= {
            "ssl_cafile": _path(settings.kafka_ssl_ca_file),
            "ssl_certfile": _path(settings.kafka_ssl_cert_file),
            "ssl_keyfile": _path(settings.kafka_ssl_key_file),
        }
    if settings.kafka_security_protocol.startswith("SASL"):
        options |= {"sasl_mechanism": settings.kafka_sasl_mechanism, **_login(settings)}
    return options


def _login(settings: Settings) -> dict[str, str]:
    if not settings.kafka_sasl_username:
        raise ConfigurationError(
            f"MILLRACE_KAFKA_SECURITY_PROTOCOL is {settings.kafka_security_protocol}, which needs "
            "MILLRACE_KAFKA_SASL_USERNAME and MILLRACE_KAFKA_SASL_PASSWORD."
        )
    return {"sasl_plain_username": settings.kafka_sasl_username, "sasl_plain_password": settings.kafka_sasl_password}


def _path(path: object | None) -> str | None:
    return None if path is None else str(path)
