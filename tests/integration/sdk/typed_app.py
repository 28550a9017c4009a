"""An app of a user, as a type checker sees it: every line with `expect` has to be refused."""

from millrace import (
    ActivityEvent,
    ActivityPublisher,
    CatalogueItem,
    Delivered,
    Received,
    Recommendation,
    RecommendationSubscriber,
    make_event,
)


def show(received: Received) -> None:
    """Handle one list."""
    names: list[str] = [item.item_id for item in received.recommendation.items]
    assert names


with RecommendationSubscriber(user_id="ada", start="resume") as subscriber, ActivityPublisher() as publisher:
    event: ActivityEvent = make_event("ada", "sku-1", type="view")
    delivered: Delivered = publisher.publish(event)
    publisher.upsert_item(CatalogueItem(item_id="sku-1", title="Kettle", genres=("Kitchen",)))
    recommendation: Recommendation = next(iter(subscriber))
    count: int = subscriber.run(show, limit=1)
    publisher.publish("ada")  # expect: arg-type
    make_event("ada", 7)  # expect: arg-type
    subscriber.run(print, limit="1")  # expect: arg-type
    RecommendationSubscriber(start="foo")  # expect: arg-type
    nowhere = delivered.nowhere  # expect: attr-defined
