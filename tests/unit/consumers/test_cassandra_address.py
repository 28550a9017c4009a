"""The address of an event log in Cassandra."""

import pytest

from millrace.kernel.errors import ConfigurationError
from millrace.stores.event_log.cassandra_address import CassandraAddress, parse_address


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("cassandra://db/millrace", CassandraAddress((("db", 9042),), "millrace", "datacenter1")),
        (
            "cassandra://a:1,b:2,c/log_2?dc=Europe-1",
            CassandraAddress((("a", 1), ("b", 2), ("c", 9042)), "log_2", "Europe-1"),
        ),
    ],
)
def test_hosts_keyspace_and_data_centre_are_read(url: str, address: CassandraAddress) -> None:
    assert parse_address(url) == address


@pytest.mark.parametrize(
    "url",
    [
        "cassandra://db",
        "cassandra:///millrace",
        "cassandra://db/Upper",
        "cassandra://db/log; DROP KEYSPACE x",
        "cassandra://db:port/millrace",
        "cassandra://db,/millrace",
        "cassandra://db/millrace?datacentre=x",
    ],
)
def test_another_shape_is_refused_with_the_right_one(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"is not the address .*use cassandra://HOST:PORT"):
        parse_address(url)


def test_a_login_in_the_address_is_refused_without_repeating_it() -> None:
    with pytest.raises(ConfigurationError, match="MILLRACE_CASSANDRA_USERNAME") as caught:
        parse_address("cassandra://me:secret@db/millrace")
    assert "secret" not in str(caught.value)
