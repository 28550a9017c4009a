from millrace.contracts import CatalogueItem
from model.baselines import Popularity
from model.contenders import BaselineContender, CountRanker
from model.prequential import GradedPart, Moment, evaluate
from streams.catalogue import Catalogue
from streams.ranking import FusionWeights
from streams.ranking.online_fusion import OnlineFusion
from streams.users import ResolvedEvent

ITEMS = 60


def catalogue():
    out = Catalogue()
    for index in range(1, ITEMS + 1):
        out.upsert(index, CatalogueItem(item_id=str(index), title=f"T{index}", genres=("A",), year=2000))
    return out


def pairs_stream(users=60):
    """Every user takes an item of the first half and then its partner in the second."""
    events = []
    for user in range(users):
        first = (user * 7) % 30 + 1
        for place, item in enumerate((first, first + 30)):
            number = 2 * user + place
            events.append(ResolvedEvent(f"e{number}", f"u{user}", item, 4.0, number * 60_000))
    return events


class Recorder:
    """Lists the items it was last told about; keeps what it was asked."""

    name = "recorder"

    def __init__(self):
        self.asked, self.learned = [], []

    def list_for(self, state, now_ms):
        self.asked.append((state.user_id, state.count, now_ms, len(self.learned)))
        return [1, 2, 3]

    def learn(self, before, event):
        self.learned.append(event.event_id)


def test_a_list_on_request_is_made_before_its_event_is_learned():
    recorder, events = Recorder(), pairs_stream(3)
    metrics = evaluate(events, [recorder], GradedPart(2, 6, 2))["recorder"]
    assert [asked[3] for asked in recorder.asked] == [2, 3, 4, 5]
    assert [asked[2] for asked in recorder.asked] == [event.ts_ms for event in events[2:]]
    assert metrics.events == 4


def test_the_first_events_of_items_are_graded_apart():
    events, first_ever = pairs_stream(3), {}
    seen = [event.item in {earlier.item for earlier in events[:number]} for number, event in enumerate(events[:6])]
    evaluate(events, [Recorder()], GradedPart(1, 6, 1), first_ever=first_ever)
    assert first_ever["recorder"].events == seen[1:].count(False)


def test_a_list_after_the_event_is_the_one_graded_by_the_next_event_of_its_user():
    recorder, events = Recorder(), pairs_stream(2)
    evaluate(events, [recorder], GradedPart(0, 4, 0), Moment.AFTER_EVENT)
    assert recorder.asked == [
        ("u0", 0, 0, 0),
        ("u0", 1, 0, 1),
        ("u0", 2, 60_000, 2),
        ("u1", 0, 120_000, 2),
        ("u1", 1, 120_000, 3),
        ("u1", 2, 180_000, 4),
    ]


def test_repeats_and_duplicates_are_not_graded():
    again = [
        ResolvedEvent("a", "u", 5, 4.0, 0),
        ResolvedEvent("a", "u", 5, 4.0, 0),
        ResolvedEvent("b", "u", 5, 4.0, 1),
        ResolvedEvent("c", "u", 1, 4.0, 2),
    ]
    metrics = evaluate(again, [Recorder()], GradedPart(0, 4, 0))["recorder"]
    assert (metrics.events, metrics.hits) == (2, 1)


def test_the_count_ranker_learns_pairs_that_popularity_cannot_see():
    items = catalogue()
    events = pairs_stream(120)
    counts = CountRanker("counts", items)
    learned = CountRanker("learned", items, OnlineFusion(FusionWeights.default()))
    popularity = BaselineContender("popularity", Popularity(ITEMS + 1), items)
    results = evaluate(events, [counts, learned, popularity], GradedPart(120, 240, 20), Moment.AFTER_EVENT)
    assert results["counts"].hit_rate > results["popularity"].hit_rate + 0.2
    assert results["learned"].ndcg >= 0.9 * results["counts"].ndcg
    assert counts.statistics.clock == 240


def test_late_statistics_hold_back_the_newest_events():
    counts = CountRanker("counts", catalogue(), lag_events=30)
    evaluate(pairs_stream(40), [counts], GradedPart(70, 80, 70))
    assert counts.statistics.clock == 50
