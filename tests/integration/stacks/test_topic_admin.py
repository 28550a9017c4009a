"""Topics of brokers that cannot be asked about them."""

import pytest

from millrace.kernel.errors import FatalError
from millrace.kernel.settings import Settings
from millrace.kernel.topic_admin import ensure_topics, grow_topic

pytestmark = pytest.mark.services


def test_the_embedded_broker_is_one_sentence(kafka_settings: Settings) -> None:
    sentence = r"^The broker cannot describe its topics \(.+\); the embedded one need not,"
    with pytest.raises(FatalError, match=sentence):
        ensure_topics(kafka_settings)
    with pytest.raises(FatalError, match=sentence):
        grow_topic(kafka_settings, kafka_settings.topics.events, 8)
