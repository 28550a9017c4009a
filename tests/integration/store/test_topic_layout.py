from dataclasses import replace

import pytest

from millrace.kernel.errors import ConfigurationError, FatalError
from millrace.stores.redis.layout import TopicLayout
from millrace.stores.redis.stores import Stores

pytestmark = pytest.mark.services

TOPIC = "millrace.events"


async def test_the_first_look_decides_how_much_of_a_grown_topic_is_used(stores: Stores) -> None:
    layout = TopicLayout(stores.redis, replace(stores.keys, partitions=0), TOPIC)
    assert await layout.partitions() is None
    assert [await layout.usable(count) for count in (3, 3, 6)] == [3, 3, 3]
    await layout.set_partitions(6)
    assert await layout.usable(6) == 6
    with pytest.raises(FatalError, match="has 3 partitions, but users are laid out for 6"):
        await layout.usable(3)


async def test_a_cluster_must_be_told_the_number(stores: Stores) -> None:
    layout = TopicLayout(stores.redis, replace(stores.keys, partitions=4), TOPIC)
    with pytest.raises(ConfigurationError, match="the 3 partitions of .*, but MILLRACE_TOPIC_PARTITIONS is 4"):
        await layout.usable(3)
    assert await layout.partitions() is None
    assert await layout.usable(4) == 4
    # The topic has grown, the settings not yet: the old partitions are still worked on.
    assert await layout.usable(8) == 4
