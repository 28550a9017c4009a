from dataclasses import replace

import pytest

from millrace.errors import ConfigurationError, FatalError
from streams.layout import TopicLayout
from streams.store.stores import Stores

pytestmark = pytest.mark.services

TOPIC = "millrace.events"


async def test_the_first_look_decides_and_another_number_is_refused(stores: Stores) -> None:
    layout = TopicLayout(stores.redis, replace(stores.keys, partitions=0), TOPIC)
    assert await layout.partitions() is None
    await layout.check(3)
    await layout.check(3)
    with pytest.raises(FatalError, match="has 6 partitions, but users are laid out for 3; .*repartition"):
        await layout.check(6)
    await layout.set_partitions(6)
    await layout.check(6)
    assert await layout.partitions() == 6


async def test_a_cluster_must_be_told_the_number(stores: Stores) -> None:
    layout = TopicLayout(stores.redis, replace(stores.keys, partitions=4), TOPIC)
    with pytest.raises(ConfigurationError, match="has 3 partitions, but MILLRACE_TOPIC_PARTITIONS is 4"):
        await layout.check(3)
    assert await layout.partitions() is None
