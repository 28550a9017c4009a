"""Collects a finished run's figures from Redis, the event log and the replay."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from millrace.apps.demo.report import ONLINE_COUNTS, DemoReport, LiveQuality, VersionReport
from millrace.apps.demo.stream import StreamMonitor
from millrace.apps.measuring.learned_stack import streamed_events
from millrace.apps.measuring.percentiles import Percentiles
from millrace.apps.measuring.store_view import StoreView
from millrace.model.registry import Registry
from millrace.producers.replay import ReplayResult
from millrace.stores.event_log import EventLog

_DEAD = "dead:"
# What a replay counts lists under that no version has scored.
_NO_VERSION = "none"


def events_processed(counters: Mapping[str, int]) -> int:
    """Return how many valid events workers have handled, recognised repeats included."""
    return counters.get("events_applied", 0) + counters.get("duplicates", 0)


def dead_letters(counters: Mapping[str, int]) -> dict[str, int]:
    """Return the dead letters by reason."""
    return {name.removeprefix(_DEAD): count for name, count in sorted(counters.items()) if name.startswith(_DEAD)}


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
    registry_dir: Path,
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
        registry_dir: Folder of the model versions.
    """
    counters, live = view.counters(), view.live()
    return DemoReport(
        **LiveQuality.of(list(live.values())).model_dump(),
        events_published=published,
        events_processed=events_processed(counters),
        events_duplicate=counters.get("duplicates", 0),
        events_logged=streamed_events(log),
        recommendations_published=counters.get("recommendations", 0),
        dead_lettered=dead_letters(counters),
        lists_before_first_version=monitor.lists_before_first_version,
        fallback_lists=monitor.fallback_lists,
        failed_requests=counters.get("failed_requests", 0),
        unanswered_events=sum(replay.unanswered for replay in replays),
        rate_limit_per_s=rate,
        events_per_s=sum(replay.published for replay in replays) / sum(replay.seconds for replay in replays),
        event_to_recommendation_ms=Percentiles.of(monitor.latencies_ms),
        model_versions=_versions(live, replays, Registry(registry_dir)),
        swap_seconds=_swap_seconds(view, monitor),
        seconds=dict(seconds),
    )


def _versions(
    live: Mapping[tuple[str, str], Mapping[str, float]], replays: Sequence[ReplayResult], registry: Registry
) -> tuple[VersionReport, ...]:
    """Return the figures of the online counts, if they made lists, then those of each version."""
    lists = Counter[str]()
    for replay in replays:
        lists.update(replay.by_version)
    known = set(registry.versions())
    reports = [
        VersionReport(
            version=version,
            arm=arm,
            encoder_events=registry.get(version).card.encoder_events if version in known else 0,
            events_served=lists[_NO_VERSION if version == ONLINE_COUNTS else version],
            **LiveQuality.of([counts]).model_dump(),
        )
        for (version, arm), counts in sorted(live.items())
    ]
    return tuple(sorted(reports, key=lambda report: report.version != ONLINE_COUNTS))


def _swap_seconds(view: StoreView, monitor: StreamMonitor) -> float | None:
    """Return the seconds from switching the serving pointer to the new version's first list, or None without a swap."""
    switched_ms = int((view.heartbeat("retrainer") or {}).get("switched_at_ms", 0))
    if len(monitor.first_list_ms) < 2 or not switched_ms:
        return None
    return max(0.0, (max(monitor.first_list_ms.values()) - switched_ms) / 1000)
