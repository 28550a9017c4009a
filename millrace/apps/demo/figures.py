"""Collects a finished run's figures from Redis, the event log and the replay."""

from collections.abc import Mapping, Sequence

from millrace.apps.demo.report import DemoReport, LiveQuality, Percentiles, VersionReport
from millrace.apps.demo.stream import StreamMonitor
from millrace.apps.demo.view import StoreView
from millrace.producers.replay import ReplayResult
from millrace.stores.event_log import IMPORT_PARTITION, EventLog

_DEAD = "dead:"
_FALLBACK = "fallback:"


def events_processed(counters: Mapping[str, int]) -> int:
    """Return how many valid events workers have handled, recognised repeats included."""
    return counters.get("events_applied", 0) + counters.get("duplicates", 0)


def dead_letters(counters: Mapping[str, int]) -> dict[str, int]:
    """Return the dead letters by reason."""
    return {name.removeprefix(_DEAD): count for name, count in sorted(counters.items()) if name.startswith(_DEAD)}


def streamed_events(log: EventLog) -> int:
    """Return how many events the log holds that came through Kafka, not by import."""
    return log.count({IMPORT_PARTITION: log.end().get(IMPORT_PARTITION, -1)})


def trainings_finished(view: StoreView) -> int:
    """Return how many trainings the retrainer has finished since it was started."""
    return int((view.heartbeat("retrainer") or {}).get("trainings", 0))


def build_report(
    rate: float | None,
    log: EventLog,
    view: StoreView,
    monitor: StreamMonitor,
    replays: Sequence[ReplayResult],
    published: int,
    seconds: Mapping[str, float],
) -> DemoReport:
    """Return the figures of a run.

    Args:
        rate: Upper bound of the replay, events per second.
        log: The event log.
        view: Counters and live quality.
        monitor: What was watched while the events streamed.
        replays: The replays, in order.
        published: Records sent to the events topic.
        seconds: Duration by phase.
    """
    counters, live = view.counters(), view.live()
    fallback = sum(count for name, count in counters.items() if name.startswith(_FALLBACK))
    return DemoReport(
        **LiveQuality.of(list(live.values())).model_dump(),
        events_published=published,
        events_processed=events_processed(counters),
        events_duplicate=counters.get("duplicates", 0),
        events_logged=streamed_events(log),
        recommendations_published=counters.get("recommendations", 0),
        dead_lettered=dead_letters(counters),
        fallback_lists=fallback,
        failed_requests=counters.get("failed_requests", 0),
        unanswered_events=sum(replay.unanswered for replay in replays),
        rate_limit_per_s=rate,
        events_per_s=sum(replay.published for replay in replays) / sum(replay.seconds for replay in replays),
        event_to_recommendation_ms=Percentiles.of(monitor.latencies_ms),
        model_versions=_versions(live, replays),
        swap_seconds=_swap_seconds(view, monitor),
        seconds=dict(seconds),
    )


def _versions(
    live: Mapping[tuple[str, str], Mapping[str, float]], replays: Sequence[ReplayResult]
) -> tuple[VersionReport, ...]:
    lists = {
        version: sum(replay.by_version[version] for replay in replays)
        for replay in replays
        for version in replay.by_version
    }
    return tuple(
        VersionReport(
            version=version, arm=arm, events_served=lists.get(version, 0), **LiveQuality.of([counts]).model_dump()
        )
        for (version, arm), counts in sorted(live.items())
    )


def _swap_seconds(view: StoreView, monitor: StreamMonitor) -> float | None:
    """Return the seconds from switching the serving pointer to the new version's first list, or None without a swap."""
    switched_ms = int((view.heartbeat("retrainer") or {}).get("switched_at_ms", 0))
    if not monitor.swapped or not switched_ms:
        return None
    return max(0.0, (max(monitor.first_list_ms.values()) - switched_ms) / 1000)
