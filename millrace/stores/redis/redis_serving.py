"""The serving plan, the versions' cards, live quality, counters and heartbeats in Redis."""

import math
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence

import orjson

from millrace.kernel.keys import Keys
from millrace.kernel.user_state import ServedList
from millrace.stores.redis.cluster import together
from millrace.stores.redis.codec import decode_served, encode_served
from millrace.stores.redis.connect import Client, RedisErrors
from millrace.stores.redis.scripts import Call, Script, run_scripts
from millrace.stores.redis.values import ServingPlan

# A process imports this module when it starts.
_LOADED_MS = time.time_ns() // 1_000_000

# KEYS: serving hash. ARGV: champion, challenger, share ('' for none). The replaced champion is kept as `previous`;
# setting the same plan again changes nothing. Returns the whole hash, flat.
_SET_PLAN = Script(
    """
local old = redis.call('HMGET', KEYS[1], 'champion', 'challenger', 'challenger_share')
if old[1] ~= ARGV[1] or old[2] ~= ARGV[2] or old[3] ~= ARGV[3] then
  if old[1] and old[1] ~= ARGV[1] then redis.call('HSET', KEYS[1], 'previous', old[1]) end
  redis.call('HSET', KEYS[1], 'champion', ARGV[1], 'challenger', ARGV[2], 'challenger_share', ARGV[3])
  redis.call('HINCRBY', KEYS[1], 'sequence', 1)
end
return redis.call('HGETALL', KEYS[1])
"""
)


class RedisServingStore:
    """Serving plan, cards, live quality and heartbeats in Redis.

    Args:
        redis: A client of the running event loop, see `millrace.stores.redis.connect`.
        keys: The key names.
    """

    def __init__(self, redis: Client, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    async def plan(self) -> ServingPlan:
        """Return the current plan."""
        with RedisErrors("reading the serving plan"):
            return _plan(await self._redis.execute_command("HGETALL", self._keys.serving))

    async def set_plan(
        self, champion: str | None, challenger: str | None = None, challenger_share: float = 0.0
    ) -> ServingPlan:
        """Switch; workers follow within a batch. The champion replaced stays known as `previous`."""
        args = [champion or "", challenger or "", repr(float(challenger_share))]
        with RedisErrors("switching versions"):
            (flat,) = await run_scripts(self._redis, [Call(_SET_PLAN, [self._keys.serving], args)])
        return _plan(dict(zip(flat[::2], flat[1::2], strict=True)))

    async def put_model(self, version: str, card_json: bytes, vectors: bytes) -> None:
        """Store what workers need of a version, before it is made champion or challenger."""
        with RedisErrors(f"storing the card of {version}"):
            await self._redis.execute_command(
                "MSET", self._keys.model(version), card_json, self._keys.model_vectors(version), vectors
            )

    async def model_card(self, version: str) -> bytes | None:
        """Return the JSON stored by `put_model`."""
        return await self._get(self._keys.model(version), f"reading the card of {version}")

    async def model_vectors(self, version: str) -> bytes | None:
        """Return the float16 item vectors stored by `put_model`."""
        return await self._get(self._keys.model_vectors(version), f"reading the vectors of {version}")

    async def counters(self) -> dict[str, int]:
        """Return all counters."""
        pipeline = self._redis.pipeline(transaction=False)
        for key in dict.fromkeys([self._keys.counters, *(each.counters for each in self._keys.counted())]):
            pipeline.execute_command("HGETALL", key)
        with RedisErrors("reading counters"):
            hashes = await pipeline.execute()
        total: Counter[str] = Counter()
        for fields in hashes:
            total.update({name.decode(): int(value) for name, value in fields.items()})
        return dict(total)

    async def count(self, counters: Mapping[str, int]) -> None:
        """Add to counters outside of a commit, e.g. records refused by another role; once per call, best effort."""
        pipeline = together(self._redis)
        for name, increment in counters.items():
            pipeline.execute_command("HINCRBY", self._keys.counters, name, increment)
        with RedisErrors("counting"):
            await pipeline.execute()

    async def live(self) -> dict[tuple[str, str], dict[str, float]]:
        """Return the live counts by (version, arm): events, hits, ndcg, popularity_hits, popularity_ndcg."""
        places = self._keys.counted()
        with RedisErrors("reading live quality"):
            pipeline = self._redis.pipeline(transaction=False)
            for place in places:
                pipeline.execute_command("SMEMBERS", place.live_index)
            members = zip(places, await pipeline.execute(), strict=True)
            names = [(place, _version_and_arm(member)) for place, found in members for member in found]
            pipeline = self._redis.pipeline(transaction=False)
            for place, (version, arm) in names:
                pipeline.execute_command("HGETALL", place.live(version, arm))
            hashes = await pipeline.execute()
        live: dict[tuple[str, str], dict[str, float]] = {name: {} for name in sorted({name for _, name in names})}
        for (_, name), fields in zip(names, hashes, strict=True):
            sums = live[name]
            for field, value in fields.items():
                sums[field.decode()] = sums.get(field.decode(), 0.0) + float(value)
        return live

    async def exploration(self, names: Sequence[str]) -> dict[str, int]:
        """Return the exploration counts of these names, 0 where nothing was counted."""
        if not names:
            return {}
        pipeline = self._redis.pipeline(transaction=False)
        for place in self._keys.counted():
            pipeline.execute_command("HMGET", place.exploration, *names)
        with RedisErrors("reading what exploration has learned"):
            found = await pipeline.execute()
        sums = [sum(int(value or 0) for value in values) for values in zip(*found, strict=True)]
        return dict(zip(names, sums, strict=True))

    async def heartbeat(self, role: str, instance: str, status: Mapping[str, object], ttl_s: float) -> None:
        """Publish a process's status for `millrace status`; its pid, its start and the time are added."""
        key = self._keys.component(role, instance)
        known = {"pid": os.getpid(), "since_ms": _LOADED_MS, "at_ms": time.time_ns() // 1_000_000}
        data = orjson.dumps({**known, **status, "role": role, "instance": instance}, option=orjson.OPT_SERIALIZE_NUMPY)
        pipeline = together(self._redis)
        pipeline.execute_command("SET", key, data, "PX", math.ceil(ttl_s * 1000))
        pipeline.execute_command("SADD", self._keys.component_index, key)
        with RedisErrors("publishing a heartbeat"):
            await pipeline.execute()

    async def heartbeats(self) -> list[dict[str, object]]:
        """Return the status of every process heard from lately, each with its `role` and `instance`."""
        with RedisErrors("reading heartbeats"):
            keys = sorted(await self._redis.execute_command("SMEMBERS", self._keys.component_index))
            values = await self._redis.execute_command("MGET", *keys) if keys else []
            expired = [key for key, value in zip(keys, values, strict=True) if value is None]
            if expired:
                await self._redis.execute_command("SREM", self._keys.component_index, *expired)
        return [orjson.loads(value) for value in values if value is not None]

    async def put_cold_list(self, served: ServedList, record: bytes = b"") -> None:
        """Store the list that a new user gets, with its reasons as a recommendation record if there is one."""
        fields = ("served", encode_served(served), "recommendation", record)
        with RedisErrors("keeping the list of new users"):
            await self._redis.execute_command("HSET", self._keys.cold_list, *fields)

    async def cold_list(self) -> tuple[ServedList, bytes] | None:
        """Return what `put_cold_list` stored last."""
        with RedisErrors("reading the list of new users"):
            served, record = await self._redis.execute_command(
                "HMGET", self._keys.cold_list, "served", "recommendation"
            )
        return None if served is None else (decode_served(served), record or b"")

    async def _get(self, key: str, doing: str) -> bytes | None:
        with RedisErrors(doing):
            value: bytes | None = await self._redis.execute_command("GET", key)
        return value


def _plan(fields: Mapping[bytes, bytes]) -> ServingPlan:
    return ServingPlan(
        champion=fields.get(b"champion", b"").decode() or None,
        challenger=fields.get(b"challenger", b"").decode() or None,
        challenger_share=float(fields.get(b"challenger_share", 0.0)),
        sequence=int(fields.get(b"sequence", 0)),
        previous=fields.get(b"previous", b"").decode() or None,
    )


def _version_and_arm(member: bytes) -> tuple[str, str]:
    version, _, arm = member.decode().rpartition(":")
    return version, arm
