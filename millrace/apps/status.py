"""The state of a whole installation at one moment, as `millrace status` shows it and as scripts read it (`--json`)."""

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from millrace.kernel.settings import Settings

if TYPE_CHECKING:
    from millrace.stores.redis.stores import Stores
    from millrace.stores.redis.values import Watermark

# The processes of a complete installation, and the command that starts each.
ROLES = {
    "worker": "millrace worker",
    "statistics": "millrace statistics",
    "log-writer": "millrace log-writer",
    "retrainer": "millrace retrainer",
}
# Roles that keep a watermark in Redis for the events topic.
_FOLLOWING = ("worker", "statistics")
# Lists without a version are graded under this name.
ONLINE_COUNTS = "fallback"
# Heartbeats come every second.
_SILENT_AFTER_MS = 3_000
_DEAD_LETTER = "dead:"
_COMMON = frozenset({"role", "instance", "pid", "since_ms", "at_ms", "events_per_s", "lag", "healthy"})

State = Literal["ok", "waiting", "stalled", "silent", "missing"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Server(_Frozen):
    """A server that Millrace uses."""

    name: str
    address: str
    ok: bool
    detail: str


class Component(_Frozen):
    """One process of Millrace, by its last heartbeat; `missing` stands for a role without any process."""

    role: str
    state: State
    detail: str = ""
    instance: str | None = None
    pid: int | None = None
    up_s: float | None = None
    events_per_s: float | None = None
    lag: int | None = None
    more: dict[str, Any] = {}


class Lag(_Frozen):
    """Records of the events topic that a role has not handled yet, by partition."""

    role: str
    by_partition: dict[int, int]
    total: int


class VersionQuality(_Frozen):
    """Graded lists of one version and arm; the rates are None before the first grade."""

    version: str
    arm: str
    serving: bool
    events: int
    hit_rate_at_10: float | None
    ndcg_at_10: float | None
    popularity_hit_rate_at_10: float | None
    popularity_ndcg_at_10: float | None


class Status(_Frozen):
    """Everything `millrace status` knows."""

    at_ms: int
    servers: list[Server]
    components: list[Component]
    lags: list[Lag]
    champion: str | None
    challenger: str | None
    challenger_share: float
    versions: list[VersionQuality]
    items: int
    counters: dict[str, int]
    dead_letters: dict[str, int]


async def collect(
    settings: Settings, stores: "Stores", ends: Mapping[int, int] | None, servers: Sequence[Server]
) -> Status:
    """Read everything that Redis knows.

    Args:
        settings: For the topic's name.
        stores: Open stores.
        ends: Offset after the last record of each partition of the events topic; None while Kafka is away.
        servers: What is known of the servers.

    Raises:
        TransientError: Redis does not answer.
    """
    now_ms = time.time_ns() // 1_000_000
    plan, live = await stores.serving.plan(), await stores.serving.live()
    counters = await stores.serving.counters()
    marks = {role: await stores.users.watermarks(role, settings.topics.events) for role in _FOLLOWING}
    serving = {(plan.champion, "champion"), (plan.challenger, "challenger")}
    return Status(
        at_ms=now_ms,
        servers=list(servers),
        components=components(await stores.serving.heartbeats(), now_ms),
        lags=[lag_of(role, ends, marks[role]) for role in _FOLLOWING] if ends is not None else [],
        champion=plan.champion,
        challenger=plan.challenger,
        challenger_share=plan.challenger_share,
        versions=[quality(*name, counts, name in serving) for name, counts in live.items()],
        items=await stores.catalogue.count(),
        counters={name: count for name, count in sorted(counters.items()) if not name.startswith(_DEAD_LETTER)},
        dead_letters={
            name.removeprefix(_DEAD_LETTER): count
            for name, count in sorted(counters.items())
            if name.startswith(_DEAD_LETTER)
        },
    )


def components(heartbeats: Sequence[Mapping[str, Any]], now_ms: int) -> list[Component]:
    """Return every process heard from, in the order of ROLES, and each role that has none."""
    running = [component(heartbeat, now_ms) for heartbeat in heartbeats]
    heard = {each.role for each in running}
    missing = [
        Component(role=role, state="missing", detail=f"start it: {start}")
        for role, start in ROLES.items()
        if role not in heard
    ]
    order = {role: place for place, role in enumerate(ROLES)}
    return sorted(running + missing, key=lambda each: (order.get(each.role, len(order)), each.instance or ""))


def component(heartbeat: Mapping[str, Any], now_ms: int) -> Component:
    """Return what a heartbeat says of its process."""
    lag, rate = heartbeat.get("lag"), heartbeat.get("events_per_s")
    since_ms, at_ms = heartbeat.get("since_ms"), heartbeat.get("at_ms", now_ms)
    waiting = heartbeat.get("waiting_for") or heartbeat.get("waiting")
    state: State = "ok"
    detail = ""
    if now_ms - at_ms > _SILENT_AFTER_MS:
        state, detail = "silent", f"no word for {(now_ms - at_ms) / 1000:.0f} s"
    elif waiting:
        state, detail = "waiting", waiting if isinstance(waiting, str) else ""
    elif heartbeat.get("healthy") is False or (lag and rate is not None and rate == 0):
        state, detail = "stalled", "records wait, none is handled"
    elif heartbeat.get("catching_up"):
        detail = "works off a backlog; skips lists nobody waits for"
    return Component(
        role=heartbeat["role"],
        state=state,
        detail=detail,
        instance=heartbeat["instance"],
        pid=heartbeat.get("pid"),
        up_s=None if since_ms is None else (now_ms - since_ms) / 1000,
        events_per_s=rate,
        lag=lag,
        more={name: value for name, value in heartbeat.items() if name not in _COMMON},
    )


def lag_of(role: str, ends: Mapping[int, int], marks: Mapping[int, "Watermark"]) -> Lag:
    """Return how far a role is behind the end of each partition; one it has never claimed counts from the start."""
    behind = {
        partition: max(0, end - 1 - (marks[partition].done if partition in marks else -1))
        for partition, end in sorted(ends.items())
    }
    return Lag(role=role, by_partition=behind, total=sum(behind.values()))


def quality(version: str, arm: str, counts: Mapping[str, float], serving: bool) -> VersionQuality:
    """Return the rates of a version's live counts."""
    events = int(counts.get("events", 0))

    def rate(name: str) -> float | None:
        return counts.get(name, 0.0) / events if events else None

    return VersionQuality(
        version=version,
        arm=arm,
        serving=serving,
        events=events,
        hit_rate_at_10=rate("hits"),
        ndcg_at_10=rate("ndcg"),
        popularity_hit_rate_at_10=rate("popularity_hits"),
        popularity_ndcg_at_10=rate("popularity_ndcg"),
    )
