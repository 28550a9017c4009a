"""Publishes and receives with the installed SDK against a broker: `round_trip.py BOOTSTRAP PREFIX`."""

import json
import sys

from millrace import ActivityPublisher, CatalogueItem, Received, RecommendationSubscriber, make_event
from millrace.kernel.settings import Settings

bootstrap, prefix = sys.argv[1:]
settings = Settings(kafka_bootstrap=bootstrap, topic_prefix=f"{prefix}.", group_prefix=f"{prefix}-")


def recommendation(number: int) -> bytes:
    """Return a list as a worker publishes it."""
    times = dict.fromkeys(("event_ts_ms", "received_ts_ms", "generated_ts_ms"), 1)
    source = {"source_partition": 0, "source_offset": number, "event_id": f"e{number}"}
    made_by = {"model_version": None, "arm": "champion", "items": []}
    return json.dumps({"recommendation_id": f"r{number}", "user_id": "ada", **source, **times, **made_by}).encode()


received: list[str] = []


def take(one: Received) -> None:
    """Remember the list."""
    received.append(one.recommendation.recommendation_id)


with RecommendationSubscriber(settings, user_id="ada") as subscriber, ActivityPublisher(settings) as publisher:
    publisher.upsert_item(CatalogueItem(item_id="sku-1", title="Kettle"))
    publisher.publish_many([make_event("ada", "sku-1", type="view"), make_event("ada", "sku-2", type="purchase")])
    for number in range(3):
        publisher.publish_raw(b"ada", recommendation(number), settings.topics.recommendations)
    subscriber.run(take, limit=3)
with RecommendationSubscriber(settings, start="resume", group="mail") as subscriber:
    subscriber.run(take, limit=1)
sys.stdout.write(f"{received}\n")
