import gc
from dataclasses import replace

from tuning_world import catalogue, events, split

from millrace.kernel.user_state import ResolvedEvent
from millrace.model.tuning.warm_up import WarmUpStream, warm_up_stream


def reachable_events(root: object) -> set[int]:
    """Return the ids of all events that can be reached from an object by following references."""
    seen: set[int] = set()
    found: set[int] = set()
    waiting = [root]
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, type) or callable(one):
            continue
        seen.add(id(one))
        if isinstance(one, ResolvedEvent):
            found.add(id(one))
        waiting += gc.get_referents(one)
    return found


def handed_over(stream: list[ResolvedEvent]) -> WarmUpStream:
    return warm_up_stream(stream, catalogue(), split(stream))


def test_no_graded_event_can_be_reached_from_what_a_search_gets() -> None:
    stream = events()
    first_graded = split(stream).graded
    reachable = reachable_events(handed_over(stream))
    assert len(reachable) == first_graded
    assert not reachable & {id(event) for event in stream[first_graded:]}
    # The walk itself finds events where there are some.
    assert len(reachable_events(stream)) == len(stream)


def test_the_warm_up_stands_where_the_graded_part_was() -> None:
    stream = events()
    whole, cut = split(stream), handed_over(stream)
    assert cut.split.graded == whole.warm_up
    assert cut.split.stop == whole.graded == len(cut.events)


def test_a_fingerprint_follows_the_events_before_the_graded_part_alone() -> None:
    stream = events()
    first_graded = split(stream).graded
    changed = stream[:first_graded] + [replace(event, item=1, user_id="x") for event in stream[first_graded:]]
    assert handed_over(changed).fingerprint == handed_over(stream).fingerprint
    other = [replace(stream[0], value=1.0), *stream[1:]]
    assert handed_over(other).fingerprint != handed_over(stream).fingerprint
