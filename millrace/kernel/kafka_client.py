"""Connection options of every Kafka client: addresses, encryption, login."""

import ssl
from typing import Any

from millrace.kernel.errors import ConfigurationError
from millrace.kernel.settings import Settings

# A request without an answer for this long fails. kafka-python's consumers wait five minutes by default, even for a
# machine that is gone.
REQUEST_TIMEOUT_MS = 30_000


def kafka_options(settings: Settings) -> dict[str, Any]:
    """Return the arguments that every kafka-python client takes.

    Raises:
        ConfigurationError: A login has no user name, or a certificate cannot be read.
    """
    options: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap.split(","),
        "security_protocol": settings.kafka_security_protocol,
    }
    if settings.kafka_encrypted:
        options["ssl_context"] = ssl_context(settings)
    if settings.kafka_security_protocol.startswith("SASL"):
        options |= {"sasl_mechanism": settings.kafka_sasl_mechanism, **_login(settings)}
    return options


def consumer_options(settings: Settings) -> dict[str, Any]:
    """Return the arguments that every consumer of kafka-python takes.

    Raises:
        ConfigurationError: As for `kafka_options`.
    """
    # kafka-python requires more than the session timeout.
    timeout_ms = max(REQUEST_TIMEOUT_MS, 2 * settings.kafka_session_timeout_ms)
    return {**kafka_options(settings), "request_timeout_ms": timeout_ms}


def _login(settings: Settings) -> dict[str, str]:
    if not settings.kafka_sasl_username:
        raise ConfigurationError(
            f"MILLRACE_KAFKA_SECURITY_PROTOCOL is {settings.kafka_security_protocol}, which needs "
            "MILLRACE_KAFKA_SASL_USERNAME and MILLRACE_KAFKA_SASL_PASSWORD."
        )
    return {"sasl_plain_username": settings.kafka_sasl_username, "sasl_plain_password": settings.kafka_sasl_password}


def ssl_context(settings: Settings) -> ssl.SSLContext:
    """Return the TLS context of connections; it verifies the broker's certificate and host name.

    Raises:
        ConfigurationError: A certificate or key cannot be read.
    """
    try:
        context = ssl.create_default_context(cafile=settings.kafka_ssl_ca_file)
        if settings.kafka_ssl_cert_file is not None:
            context.load_cert_chain(settings.kafka_ssl_cert_file, settings.kafka_ssl_key_file)
    except OSError as error:
        raise ConfigurationError(
            f"The certificates of MILLRACE_KAFKA_SSL_CA_FILE, _CERT_FILE and _KEY_FILE cannot be used ({error})."
        ) from None
    return context
