import ssl
from pathlib import Path

import pytest
from faust.auth import SASLCredentials, SSLCredentials

from millrace.kernel.errors import ConfigurationError
from millrace.kernel.settings import Settings
from millrace.streams.faust_credentials import broker_credentials

LOGIN = {"kafka_sasl_username": "shop", "kafka_sasl_password": "secret"}


def test_a_plain_connection_has_none() -> None:
    assert broker_credentials(Settings()) is None


def test_encryption_alone_checks_the_broker() -> None:
    credentials = broker_credentials(Settings(kafka_security_protocol="SSL"))
    assert isinstance(credentials, SSLCredentials)
    assert credentials.context.verify_mode is ssl.CERT_REQUIRED
    assert credentials.context.check_hostname


@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_login(protocol: str, mechanism: str) -> None:
    settings = Settings(kafka_security_protocol=protocol, kafka_sasl_mechanism=mechanism, **LOGIN)
    credentials = broker_credentials(settings)
    assert isinstance(credentials, SASLCredentials)
    assert (credentials.username, credentials.password) == ("shop", "secret")
    assert (credentials.protocol.value, credentials.mechanism.value) == (protocol, mechanism)
    assert (credentials.ssl_context is not None) == (protocol == "SASL_SSL")


def test_a_certificate_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="MILLRACE_KAFKA_SSL_CA_FILE"):
        broker_credentials(Settings(kafka_security_protocol="SSL", kafka_ssl_ca_file=tmp_path / "none.pem"))


def test_a_login_needs_a_name() -> None:
    with pytest.raises(ConfigurationError, match="MILLRACE_KAFKA_SASL_USERNAME"):
        broker_credentials(Settings(kafka_security_protocol="SASL_SSL"))
