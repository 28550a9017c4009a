"""Key names: readable on a single server, and in one slot of a cluster where one script writes them."""

import pytest
from kafka.partitioner.default import DefaultPartitioner
from redis.crc import key_slot

from millrace.kernel.keys import Keys
from millrace.kernel.settings import Settings

PARTITIONS = 5
SINGLE, CLUSTER = Keys("m:"), Keys("m:", PARTITIONS)
TOPIC = "millrace.events"


def slots(*names: str) -> set[int]:
    return {key_slot(name.encode()) for name in names}


def test_a_single_server_has_plain_names() -> None:
    assert SINGLE.user("7") == "m:user:7"
    assert SINGLE.watermark("worker", TOPIC, 3) == "m:watermark:worker:millrace.events:3"
    assert SINGLE.in_partition(3).live("v1", "champion") == "m:live:v1:champion"
    assert SINGLE.home("7") is None
    assert [each.counters for each in SINGLE.counted()] == [SINGLE.counters] == ["m:counters"]


@pytest.mark.parametrize("user_id", [f"user-{number}" for number in range(40)] + ["{p0}", "ü"])
def test_what_one_batch_writes_is_in_one_slot(user_id: str) -> None:
    home = CLUSTER.home(user_id)
    assert home == DefaultPartitioner()(user_id.encode(), list(range(PARTITIONS)), [])
    assert home is not None
    counted = CLUSTER.in_partition(home)
    names = [CLUSTER.user(user_id), CLUSTER.touched(user_id), CLUSTER.watermark("worker", TOPIC, home)]
    names += [counted.counters, counted.exploration, counted.live_index, counted.live("v1", "champion")]
    assert len(slots(*names)) == 1


def test_what_the_keeper_writes_is_in_one_slot() -> None:
    marks = [CLUSTER.watermark("statistics", TOPIC, partition) for partition in range(PARTITIONS)]
    assert len(slots(CLUSTER.page(1), CLUSTER.popularity(2), CLUSTER.tail("u"), CLUSTER.statistics, *marks)) == 1


def test_what_a_registration_writes_is_in_one_slot() -> None:
    shared = [CLUSTER.item_index, CLUSTER.item_id, CLUSTER.item_changes, CLUSTER.item_sequence]
    assert len(slots(CLUSTER.item("a"), CLUSTER.item("b"), *shared)) == 1
    assert len(slots(CLUSTER.model("v1"), CLUSTER.model_vectors("v1"))) == 1
    assert len(slots(CLUSTER.component("worker", "a"), CLUSTER.component_index)) == 1


def test_partitions_are_spread_over_the_cluster() -> None:
    assert len(slots(*(CLUSTER.in_partition(partition).counters for partition in range(PARTITIONS)))) == PARTITIONS
    assert len(CLUSTER.counted()) == PARTITIONS


@pytest.mark.parametrize(
    ("url", "partitions"),
    [("redis://a:1/0", 0), ("rediss://a:1/0", 0), ("redis+cluster://a:1,b:2", 6), ("rediss+cluster://a:1", 6)],
)
def test_the_address_tells_a_cluster(url: str, partitions: int) -> None:
    assert Keys.of(Settings(redis_url=url, topic_partitions=6)) == Keys("millrace:", partitions)
