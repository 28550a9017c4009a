"""How a Faust app encrypts its connections to Kafka and logs in."""

from faust.auth import Credentials, SASLCredentials, SSLCredentials

from millrace.kernel.kafka_client import kafka_options
from millrace.kernel.settings import Settings


def broker_credentials(settings: Settings) -> Credentials | None:
    """Return what `faust.App` takes as `broker_credentials`; None for a plain connection.

    Raises:
        ConfigurationError: A login without a name, or a certificate file that cannot be read.
    """
    options = kafka_options(settings)
    context = options.get("ssl_context")
    if "sasl_mechanism" in options:
        return SASLCredentials(
            username=options["sasl_plain_username"],
            password=options["sasl_plain_password"],
            mechanism=options["sasl_mechanism"],
            ssl_context=context,
        )
    return None if context is None else SSLCredentials(context)
