"""The settings of every role: one frozen object, read once from the environment (prefix `MILLRACE_`).

A setting comes from the first of these that names it: the environment, the `stack.json` that a running stack keeps in
its home folder (so a second terminal finds the first one's servers and configuration), the defaults below. A map adds
to its default; null removes an entry.
"""

import json
import os
import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from millrace.kernel.contracts.decode import DEFAULT_EVENT_WEIGHTS, DEFAULT_IMPLIED_VALUES, EventPolicy
from millrace.kernel.contracts.event import MAX_RATING, MIN_RATING
from millrace.kernel.errors import ConfigurationError
from millrace.kernel.topics import Topics

PREFIX = "MILLRACE_"
DEFAULT_HOME = Path(".millrace")
STACK_FILE = "stack.json"

# Read by the recovery tests' crash points and by the test suite.
_OTHER_VARIABLES = frozenset({"MILLRACE_CRASH_AT", "MILLRACE_REQUIRE_SERVICES"})
# Kubernetes tells every pod the address of each Service of its namespace: a Service `millrace-redis` becomes
# MILLRACE_REDIS_SERVICE_HOST, MILLRACE_REDIS_SERVICE_PORT_TLS, MILLRACE_REDIS_PORT_6379_TCP_ADDR and others. Nobody
# wrote these, so they must not stop a role. MILLRACE_REDIS_PORT could also be a slip of the pen: its value decides.
_SERVICE_LINK = re.compile(r"MILLRACE_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_[A-Z]+)?)")
_SERVICE_LINK_VALUE = re.compile(r"(tcp|udp|sctp)://")
# What belongs to one process or one person, not to a whole installation: a stack does not hand it to other terminals.
_NOT_SHARED = frozenset(
    {"home", "health_host", "health_port", "kafka_group_member", "kafka_sasl_password", "cassandra_password"}
)

StackName = Literal["embedded", "local", "external"]
# How pydantic names the field whose text it could not read.
_FIELD = re.compile(r'field "(\w+)"')


class Settings(BaseSettings):
    """Everything that can be configured; each field is the variable `MILLRACE_<FIELD>`."""

    model_config = SettingsConfigDict(env_prefix="MILLRACE_", frozen=True, extra="ignore")

    home: Path = Field(
        default=DEFAULT_HOME, description="Folder for logs, the model registry and the SQLite event log."
    )
    stack: StackName = Field(default="embedded", description="Which servers `up`, `demo` and `bench` start.")

    kafka_bootstrap: str = Field(default="127.0.0.1:9092", description="Kafka brokers, `host:port[,host:port]`.")
    kafka_fetch_wait_ms: int = Field(
        default=100,
        ge=1,
        description="Longest wait of one fetch. The embedded broker answers only then: its stack sets it low.",
    )
    kafka_session_timeout_ms: int = Field(
        default=6000,
        ge=1000,
        description="A consumer silent for this long loses its partitions. Brokers refuse less than 6000 by default; "
        "the embedded one takes 2000. Workers and the keeper, which compute meanwhile, never take less than 6000.",
    )
    kafka_group_member: str = Field(
        default="",
        max_length=200,
        description="A name that this worker keeps over a restart: Kafka keeps its partitions for it for the session "
        "(static membership). Empty: it joins as a new one. `millrace worker --processes` gives each its own.",
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="Whether connections to Kafka are encrypted (SSL) and log in (SASL)."
    )
    kafka_ssl_ca_file: Path | None = Field(
        default=None, description="Certificates that Kafka's own is checked against; default: the system's."
    )
    kafka_ssl_cert_file: Path | None = Field(default=None, description="This client's certificate, for mutual TLS.")
    kafka_ssl_key_file: Path | None = Field(default=None, description="The key of this client's certificate.")
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        default="SCRAM-SHA-512", description="How to log in to Kafka."
    )
    kafka_sasl_username: str = Field(default="", description="The name to log in to Kafka with.")
    kafka_sasl_password: str = Field(default="", repr=False, description="The password to log in to Kafka with.")
    topic_partitions: int = Field(
        default=4, ge=1, le=10_000, description="Partitions of the topics that Millrace creates."
    )
    topic_replication: int = Field(
        default=1, ge=1, le=10, description="Replicas of the topics that Millrace creates; three in production."
    )
    topic_prefix: str = Field(default="millrace.", description="Put before every topic name.")
    group_prefix: str = Field(default="millrace-", description="Put before every consumer group name.")
    redis_url: str = Field(
        default="redis://127.0.0.1:6379/0",
        description="Where features and state are kept; a Redis Cluster as `redis+cluster://HOST:PORT[,HOST:PORT]`, "
        "with TLS `rediss://` and `rediss+cluster://`.",
    )
    redis_prefix: str = Field(default="millrace:", description="Put before every Redis key.")
    triton_url: str = Field(default="127.0.0.1:8001", description="Triton's gRPC address.")
    triton_repository: Path | None = Field(
        default=None, description="Model repository folder that Triton reads; default: HOME/triton."
    )
    triton_backend: Literal["python", "onnxruntime", "onnxruntime-cpu"] = Field(
        default="python",
        description="What runs a version inside Triton: `python` for the wheel, `onnxruntime` for the stock container "
        "with a GPU, `onnxruntime-cpu` for it without.",
    )
    event_log: str = Field(
        default="",
        description="`sqlite:///PATH` or `cassandra://HOST:PORT[,HOST:PORT]/KEYSPACE?dc=DATACENTRE`; "
        "default: HOME/events.sqlite.",
    )
    cassandra_username: str = Field(default="", description="The name to log in to Cassandra with; empty: no login.")
    cassandra_password: str = Field(default="", repr=False, description="The password to log in to Cassandra with.")
    cassandra_ssl_ca_file: Path | None = Field(
        default=None, description="Certificates that Cassandra's is checked against; given, connections are encrypted."
    )
    cassandra_replication: dict[str, Annotated[int, Field(ge=1)]] = Field(
        default_factory=dict,
        description="JSON map: data centre and its number of replicas, for `millrace log-schema`; default: up to 3 in "
        "the one of the address.",
    )
    cassandra_consistency: Literal["", "LOCAL_ONE", "LOCAL_QUORUM", "EACH_QUORUM", "QUORUM"] = Field(
        default="",
        description="Replicas that must confirm a read or write of the log; default: `LOCAL_QUORUM`, with a single "
        "node `LOCAL_ONE`.",
    )

    health_host: str = Field(
        default="127.0.0.1", description="Where a role answers GET /health; `0.0.0.0` for probes from other machines."
    )
    health_port: int = Field(
        default=0,
        ge=0,
        le=65_535,
        description="Port of GET /health; 0: any free one. Every role of a machine needs its own: `millrace up` counts "
        "up from this one.",
    )

    implied_values: dict[str, Annotated[float, Field(ge=MIN_RATING, le=MAX_RATING)]] = Field(
        default_factory=lambda: dict(DEFAULT_IMPLIED_VALUES),
        description="JSON map: event types besides `rating` and the value each stands for. Added to the default; null "
        "removes a type.",
    )
    event_weights: dict[str, Annotated[float, Field(ge=0.0, le=100.0)]] = Field(
        default_factory=lambda: dict(DEFAULT_EVENT_WEIGHTS),
        description="JSON map: event types and what each teaches, in ratings. Added to the default; null removes a "
        "type. A type that is not in the map teaches like a rating, one of weight 0 leads nobody to its item. "
        "`python -m millrace.model.event_weights` estimates them.",
    )
    max_record_bytes: int = Field(default=65_536, ge=1024, description="Larger records become dead letters.")
    max_future_ms: int = Field(default=300_000, ge=0, description="How far event time may lie after record time.")
    register_unknown_items: bool = Field(
        default=True,
        description="Register an item that an event names first; false makes the event a dead letter.",
    )

    model_configuration: Path | None = Field(
        default=None,
        description="TOML file that `millrace tune` writes; what trainings take for sizes, rates and rhythms. Default: "
        "what follows from the data.",
    )
    list_length: int = Field(default=10, ge=1, le=100, description="Items in a recommendation.")
    max_batch_events: int = Field(default=128, ge=1, le=1024, description="Most events in one micro-batch.")
    backlog_events: int = Field(
        default=5000,
        ge=0,
        description="More waiting events than this are a backlog, in which lists that nobody waits for are left out: "
        "of events whose user has done something since, and of late ones. 0: every event gets its list.",
    )
    list_max_age_ms: int = Field(
        default=10_000, ge=0, description="An event of a backlog that has waited longer gets no list."
    )
    scoring_deadline_ms: int = Field(default=250, ge=1, description="After this a list comes from the online counts.")
    diversity: float = Field(
        default=0.1, ge=0.0, le=1.0, description="Weight of dissimilarity in MMR; 0 keeps the model's order."
    )
    exploration_rate: float = Field(
        default=0.05, ge=0.0, le=1.0, description="Share of lists whose last place goes to a new item."
    )
    page_ttl_ms: int = Field(default=1000, ge=0, description="How long a worker uses an item page before rereading.")
    statistics_flush_ms: int = Field(default=500, ge=10, description="How often the keeper writes its pages.")
    neighbours_per_item: int = Field(default=256, ge=16, le=4096, description="Strongest neighbours kept per item.")

    @field_validator("implied_values", "event_weights", "cassandra_replication", mode="before")
    @classmethod
    def _add_to_default(cls, given: Any, info: ValidationInfo) -> Any:
        """Lay a map over its default: null removes an entry, everything else stays for the type to check."""
        if not isinstance(given, Mapping):
            return given
        default = _default_map(str(info.field_name))
        unknown = sorted(str(name) for name, value in given.items() if value is None and name not in default)
        if unknown:
            raise ValueError(f"null removes an entry of the default, and {unknown[0]} is none")
        return {name: value for name, value in {**default, **given}.items() if value is not None}

    @property
    def topics(self) -> Topics:
        """The topic names under the configured prefix."""
        return Topics(self.topic_prefix)

    @property
    def event_policy(self) -> EventPolicy:
        """What `decode_event` accepts."""
        return EventPolicy(self.implied_values, self.max_record_bytes, self.max_future_ms, self.event_weights)

    @property
    def kafka_encrypted(self) -> bool:
        """Whether connections to Kafka are encrypted."""
        return self.kafka_security_protocol in {"SSL", "SASL_SSL"}

    @property
    def redis_clustered(self) -> bool:
        """Whether Redis is a cluster, whose keys carry hash tags."""
        return self.redis_url.partition("://")[0].endswith("+cluster")

    @property
    def log_dir(self) -> Path:
        """Where servers and roles write their logs."""
        return self.home / "logs"

    @property
    def registry_dir(self) -> Path:
        """Where model versions are kept."""
        return self.home / "models"

    @property
    def triton_repository_dir(self) -> Path:
        """Where versions are put for Triton to load."""
        return self.triton_repository or self.home / "triton"

    @property
    def event_log_url(self) -> str:
        """The event log's address."""
        return self.event_log or f"sqlite:///{(self.home / 'events.sqlite').absolute()}"

    def shared(self) -> dict[str, Any]:
        """Return what all roles and terminals of an installation have in common, as JSON values without secrets."""
        values = {name: value for name, value in self._json_values().items() if name not in _NOT_SHARED}
        # The others may stand in other folders.
        paths = {name: str(path.absolute()) for name, path in self if name in values and isinstance(path, Path)}
        return {**values, **paths, "event_log": self.event_log_url}

    def environment(self) -> dict[str, str]:
        """Return the variables that give a child process these very settings."""
        return {
            f"{PREFIX}{name.upper()}": value if isinstance(value, str) else json.dumps(value)
            for name, value in self._json_values().items()
        }

    def _json_values(self) -> dict[str, Any]:
        """Return every setting that has a value; maps say with null what their default has and they have not."""
        values = self.model_dump(mode="json", exclude_none=True)
        for name, value in values.items():
            if isinstance(value, dict):
                values[name] = {**dict.fromkeys(_default_map(name)), **value}
        return values


def _default_map(name: str) -> dict[str, Any]:
    default: dict[str, Any] = Settings.model_fields[name].get_default(call_default_factory=True)
    return default


def load_settings(**overrides: Any) -> Settings:
    """Read the settings: overrides, then environment, then the running stack's configuration, then defaults.

    Raises:
        ConfigurationError: A variable is unusable or unknown; the text names it.
    """
    refuse_unknown_variables(os.environ)
    home = Path(overrides.get("home") or os.environ.get("MILLRACE_HOME") or DEFAULT_HOME)
    given = {name.upper() for name in os.environ}
    from_stack = {
        name: value for name, value in _read_stack_file(home).items() if f"{PREFIX}{name.upper()}" not in given
    }
    try:
        return Settings(**{**from_stack, **overrides})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise _unusable(first["loc"], first["msg"].removeprefix("Value error, ")) from None
    except SettingsError as error:
        field = _FIELD.search(str(error))
        raise _unusable([field[1] if field else "*"], f"it is no JSON: {error.__cause__}") from None


def refuse_unknown_variables(environment: Mapping[str, str]) -> None:
    """Refuse a variable with Millrace's prefix that nobody reads: as a rule, a misspelt setting.

    Raises:
        ConfigurationError: There is one; the text names it and the nearest setting.
    """
    fields = {name.upper() for name in Settings.model_fields}
    for variable, value in sorted(environment.items()):
        name = variable.upper()
        field = name.removeprefix(PREFIX)
        if field == name or field in fields or name in _OTHER_VARIABLES or _is_service_link(name, value):
            continue
        nearest = get_close_matches(field, fields, n=1)
        hint = f"did you mean {PREFIX}{nearest[0]}?" if nearest else "unset it."
        raise ConfigurationError(
            f"There is no setting {variable}: {hint} All settings are listed in docs/reference/configuration.md."
        )


def _is_service_link(name: str, value: str) -> bool:
    if _SERVICE_LINK.fullmatch(name):
        return True
    return name.endswith("_PORT") and _SERVICE_LINK_VALUE.match(value) is not None


def _unusable(where: Iterable[int | str], why: str) -> ConfigurationError:
    name, *entry = (str(part) for part in where)
    at = f" at {'.'.join(entry)}" if entry else ""
    return ConfigurationError(
        f"The setting {PREFIX}{name.upper()} is unusable{at} ({why}); see docs/reference/configuration.md."
    )


def _read_stack_file(home: Path) -> dict[str, Any]:
    """Return the configuration that a running stack left in its home folder, or nothing."""
    try:
        configuration = json.loads((home / STACK_FILE).read_text())
    except (OSError, ValueError):
        return {}
    return configuration if isinstance(configuration, dict) else {}
