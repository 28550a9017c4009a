"""The progress of a rebuild in a file: recomputed state and log position, saved in one transaction.

A rebuild that was killed goes on from here on the same machine; on another machine it starts again.
"""

import logging
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from millrace.kernel.errors import FatalError
from millrace.kernel.settings import Settings
from millrace.kernel.user_state import UserState
from millrace.stores.event_log import IMPORT_PARTITION
from millrace.stores.redis.codec import LOADED_FIELDS, decode_user, encode_events, encode_touched
from millrace.streams.replay import LogReplay
from millrace.streams.statistics import ItemStatistics

logger = logging.getLogger(__name__)

FILE = "rebuild.sqlite"
# Largest share of the time spent on saving.
_SHARE = 0.1
_LEAST_INTERVAL_S = 5.0

_FORMAT = 1
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS items (item_id TEXT PRIMARY KEY, number INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS users (user_id TEXT PRIMARY KEY, count, value_sum, history, event_hashes, touched)",
    "CREATE TABLE IF NOT EXISTS pages (item INTEGER PRIMARY KEY, page BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS chunks (chunk INTEGER PRIMARY KEY, popularity BLOB NOT NULL)",
)
_TABLES = ("facts", "items", "users", "pages", "chunks")


def checkpoint_path(settings: Settings) -> Path:
    """Return the file of an installation. Like the event log, it holds personal data."""
    return settings.home / FILE


class Checkpoint:
    """Saves and loads a replay.

    Args:
        settings: Where the file is, and the settings that its content depends on.
        forgotten_events: Events of forgotten users so far; a checkpoint from before somebody was forgotten is not used.
        interval_s: Shortest time between two saves.

    Raises:
        FatalError: The file cannot be written.
    """

    def __init__(self, settings: Settings, forgotten_events: int, interval_s: float = _LEAST_INTERVAL_S) -> None:
        self._settings = settings
        self._forgotten_events = forgotten_events
        self._path = checkpoint_path(settings)
        self._interval_s = interval_s
        self._due = time.monotonic() + interval_s
        self._changed_users: set[str] = set()
        self._saved_items: set[str] = set()
        with self._translated():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = self._open()

    def load(self, ends: dict[int, int]) -> tuple[LogReplay, dict[str, int]] | None:
        """Return the replay saved last and its item indexes; None without a readable one that fits log and settings.

        Args:
            ends: Partition -> last offset of the log.
        """
        try:
            return self._load(ends)
        except (ValueError, TypeError, KeyError) as error:
            logger.warning("The progress kept in %s cannot be read (%s): the rebuild starts again.", self._path, error)
            return None

    def _load(self, ends: dict[int, int]) -> tuple[LogReplay, dict[str, int]] | None:
        with self._translated():
            facts = dict(self._connection.execute("SELECT name, value FROM facts"))
            if facts.get("fingerprint") != self._fingerprint():
                return None
            position = {int(partition): offset for partition, offset in orjson.loads(facts["position"]).items()}
            if not _continues(position, ends):
                return None
            replay = LogReplay(self._settings.event_policy, self._settings.neighbours_per_item)
            replay.position, replay.events = position, int(facts["events"])
            replay.users = {state.user_id: state for state in self._users()}
            self._load_statistics(replay.statistics, facts["scalars"])
            indexes: dict[str, int] = dict(self._connection.execute("SELECT item_id, number FROM items"))
        self._saved_items = set(indexes)
        return replay, indexes

    def touch(self, user_ids: Iterable[str]) -> None:
        """Mark users as changed since the last save."""
        self._changed_users.update(user_ids)

    def save_if_due(self, replay: LogReplay, indexes: dict[str, int]) -> None:
        """Save if it is time to."""
        if time.monotonic() >= self._due:
            self.save(replay, indexes)

    def save(self, replay: LogReplay, indexes: dict[str, int]) -> None:
        """Save all changes durably."""
        started = time.monotonic()
        with self._translated(), self._connection:
            self._connection.execute("BEGIN")
            self._save_users(replay)
            self._save_statistics(replay.statistics)
            self._save_facts(replay, indexes)
        self._changed_users.clear()
        took_s = time.monotonic() - started
        self._due = time.monotonic() + max(self._interval_s, took_s / _SHARE)

    def start_over(self) -> None:
        """Delete what was saved."""
        with self._translated(), self._connection:
            self._connection.execute("BEGIN")
            for table in _TABLES:
                self._connection.execute(f"DELETE FROM {table}")  # noqa: S608 - constants
        self._saved_items.clear()

    def close(self) -> None:
        """Release the file; what was saved stays."""
        self._connection.close()

    def remove(self) -> None:
        """Delete the file."""
        self.close()
        remove_checkpoint(self._settings)

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        for statement in _SCHEMA:
            connection.execute(statement)
        return connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            raise FatalError(
                f"The progress of the rebuild cannot be kept in {self._path} ({error}); make room there, or delete it "
                "to start again."
            ) from error

    def _fingerprint(self) -> bytes:
        """Return everything that the content depends on."""
        settings = self._settings
        log = settings.event_log_url.rpartition("@")[2]
        names = [
            _FORMAT,
            self._forgotten_events,
            log,
            settings.topics.events,
            settings.neighbours_per_item,
            settings.register_unknown_items,
        ]
        return orjson.dumps([*names, sorted(settings.implied_values.items()), sorted(settings.event_weights.items())])

    def _users(self) -> Iterator[UserState]:
        # The last two fields, `served` and `proposals`, are not saved.
        nothing = (None,) * (len(LOADED_FIELDS) - 4)
        rows = self._connection.execute("SELECT user_id, touched, count, value_sum, history, event_hashes FROM users")
        for user_id, touched, *fields in rows:
            yield decode_user(user_id, (*fields, *nothing), touched)

    def _save_users(self, replay: LogReplay) -> None:
        states = (replay.users[user_id] for user_id in self._changed_users if user_id in replay.users)
        self._connection.executemany("INSERT OR REPLACE INTO users VALUES (?, ?, ?, ?, ?, ?)", map(_user_row, states))

    def _load_statistics(self, statistics: ItemStatistics, scalars: bytes) -> None:
        for chunk, data in self._connection.execute("SELECT chunk, popularity FROM chunks"):
            statistics.load_popularity_chunk(chunk, data)
        for item, page in self._connection.execute("SELECT item, page FROM pages"):
            statistics.load_page(item, page)
        statistics.load_scalars(orjson.loads(scalars))
        statistics.take_dirty()

    def _save_statistics(self, statistics: ItemStatistics) -> None:
        pages, chunks = statistics.take_dirty()
        self._connection.executemany(
            "INSERT OR REPLACE INTO pages VALUES (?, ?)", ((item, statistics.page(item)) for item in pages)
        )
        self._connection.executemany(
            "INSERT OR REPLACE INTO chunks VALUES (?, ?)",
            ((chunk, statistics.popularity_chunk(chunk)) for chunk in chunks),
        )

    def _save_facts(self, replay: LogReplay, indexes: dict[str, int]) -> None:
        new = [(item_id, index) for item_id, index in indexes.items() if item_id not in self._saved_items]
        self._connection.executemany("INSERT OR REPLACE INTO items VALUES (?, ?)", new)
        self._saved_items.update(item_id for item_id, _ in new)
        facts = {
            "fingerprint": self._fingerprint(),
            "position": orjson.dumps({str(each): offset for each, offset in replay.position.items()}),
            "events": replay.events,
            "scalars": orjson.dumps(replay.statistics.scalars()),
        }
        self._connection.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", facts.items())


def remove_checkpoint(settings: Settings) -> bool:
    """Delete the checkpoint; returns whether there was one."""
    path = checkpoint_path(settings)
    there = path.exists()
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return there


def _user_row(state: UserState) -> tuple[str, bytes, bytes, bytes, bytes, bytes]:
    count, value_sum, _, history, event_hashes = encode_events(state)
    return state.user_id, count, value_sum, history, event_hashes, encode_touched(state.touched)


def _continues(position: dict[int, int], ends: dict[int, int]) -> bool:
    """Return whether a position still holds: the log has not started anew, and no history was imported since."""
    if any(offset > ends.get(partition, -1) for partition, offset in position.items()):
        return False
    streamed = position.keys() - {IMPORT_PARTITION}
    return not streamed or position.get(IMPORT_PARTITION, -1) == ends.get(IMPORT_PARTITION, -1)
