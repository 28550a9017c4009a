"""How a Faust app encrypts its connections to Kafka and logs in."""

import ssl

from faust.auth import Credentials, SASLCredentials, SSLCredentials

from millrace.config import Settings
from millrace.errors import ConfigurationError
from millrace.kafka_client import kafka_options


def broker_credentials(settings: Settings) -> Credentials | None:
    """Return what `faust.App` takes as `broker_credentials`; None for a plain connection.

    Raises:
        ConfigurationError: A login without a name, or a certificate file that cannot be read.
    """
    options = kafka_options(settings)
    context = _ssl_context(settings) if settings.kafka_encrypted else None
    if "sasl_mechanism" in options:
        return SASLCredentials(
            username=options["sasl_plain_username"],
            password=options["sasl_plain_password"],
            mechanism=options["sasl_mechanism"],
            ssl_context=context,
        )
    return None if context is None else SSLCredentials(context)


def _ssl_context(settings: Settings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.kafka_ssl_ca_file)
        if settings.kafka_ssl_cert_file is not None:
            context.load_cert_chain(settings.kafka_ssl_cert_file, settings.kafka_ssl_key_file)
    except OSError as error:
        raise ConfigurationError(
            f"The certificates of MILLRACE_KAFKA_SSL_CA_FILE, _CERT_FILE and _KEY_FILE cannot be used ({error})."
        ) from None
    return context
