"""What Kafka clients are told about encryption and login."""

import ssl
from pathlib import Path

import pytest

from millrace.kernel.errors import ConfigurationError
from millrace.kernel.kafka_client import consumer_options, kafka_options
from millrace.kernel.settings import Settings


def test_without_encryption_there_is_nothing_but_addresses() -> None:
    assert kafka_options(Settings(kafka_bootstrap="a:1,b:2")) == {
        "bootstrap_servers": ["a:1", "b:2"],
        "security_protocol": "PLAINTEXT",
    }


def test_a_consumer_gives_a_silent_broker_up_but_not_within_a_session() -> None:
    assert consumer_options(Settings())["request_timeout_ms"] == 30_000
    assert consumer_options(Settings(kafka_session_timeout_ms=45_000))["request_timeout_ms"] == 90_000


def test_encryption_and_login_are_passed_on() -> None:
    settings = Settings(
        kafka_security_protocol="SASL_SSL",
        kafka_sasl_username="me",
        kafka_sasl_password="secret",  # noqa: S106 - not one
    )
    options = kafka_options(settings)
    assert options["ssl_context"].verify_mode is ssl.CERT_REQUIRED
    assert options["ssl_context"].check_hostname
    assert options["sasl_mechanism"] == "SCRAM-SHA-512"
    assert (options["sasl_plain_username"], options["sasl_plain_password"]) == ("me", "secret")
    assert "secret" not in repr(settings)


def test_a_login_needs_a_name() -> None:
    with pytest.raises(ConfigurationError, match="needs MILLRACE_KAFKA_SASL_USERNAME"):
        kafka_options(Settings(kafka_security_protocol="SASL_PLAINTEXT"))


def test_a_certificate_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="MILLRACE_KAFKA_SSL_CA_FILE"):
        kafka_options(Settings(kafka_security_protocol="SSL", kafka_ssl_ca_file=tmp_path / "none.pem"))
