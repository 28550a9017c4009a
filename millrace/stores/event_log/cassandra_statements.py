"""The prepared statements of the event log in Cassandra."""

from typing import Any

_EVENT_KEY = "log = ? AND generation = ? AND partition = ? AND block = ?"


class Statements:
    """Every statement, prepared once for a session.

    All may be repeated: none depends on what is there.

    Args:
        session: A connected session.
        keyspace: Where the tables are.
        consistency: The driver's level for reads and writes.
    """

    def __init__(self, session: Any, keyspace: str, consistency: int) -> None:
        self.consistency = consistency

        def prepare(cql: str) -> Any:
            statement = session.prepare(cql.replace("$", f"{keyspace}."))
            statement.consistency_level = consistency
            statement.is_idempotent = True
            return statement

        self.insert_event = prepare(
            'INSERT INTO $events (log, generation, partition, block, "offset", received_ts_ms, event)'
            " VALUES (?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
        )
        self.read_events = prepare(
            f'SELECT "offset", received_ts_ms, event FROM $events WHERE {_EVENT_KEY}'  # noqa: S608 - constants
            ' AND "offset" >= ? AND "offset" <= ?'
        )
        self.read_offsets = prepare(f'SELECT "offset" FROM $events WHERE {_EVENT_KEY} AND "offset" <= ?')  # noqa: S608
        self.count_events = prepare(
            f'SELECT count(*) FROM $events WHERE {_EVENT_KEY} AND "offset" >= ? AND "offset" <= ?'  # noqa: S608
        )
        self.delete_block_events = prepare(f"DELETE FROM $events USING TIMESTAMP ? WHERE {_EVENT_KEY}")  # noqa: S608

        self.insert_user_event = prepare(
            'INSERT INTO $events_by_user (log, user_id, ts_ms, generation, partition, "offset", received_ts_ms, event)'
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
        )
        self.read_user = prepare(
            'SELECT partition, "offset", received_ts_ms, event FROM $events_by_user WHERE log = ? AND user_id = ?'
        )
        self.delete_user_event = prepare(
            "DELETE FROM $events_by_user USING TIMESTAMP ? WHERE log = ? AND user_id = ? AND ts_ms = ?"
            ' AND generation = ? AND partition = ? AND "offset" = ?'
        )

        self.insert_forgotten = prepare(
            "INSERT INTO $forgotten (log, bucket, id, item_id, type, value) VALUES (?, ?, ?, ?, ?, ?)"
        )
        self.read_forgotten = prepare("SELECT item_id, type, value FROM $forgotten WHERE log = ? AND bucket = ?")

        self.insert_item = prepare(
            "INSERT INTO $items (log, bucket, item_id, item) VALUES (?, ?, ?, ?) USING TIMESTAMP ?"
        )
        self.insert_sequence = prepare(
            "INSERT INTO $items (log, bucket, item_id, sequence) VALUES (?, ?, ?, ?) USING TIMESTAMP ?"
        )
        self.read_items = prepare("SELECT sequence, item FROM $items WHERE log = ? AND bucket = ?")

        self.insert_block = prepare("INSERT INTO $blocks (log, generation, partition, block) VALUES (?, ?, ?, ?)")
        self.read_blocks = prepare(
            "SELECT block, events FROM $blocks WHERE log = ? AND generation = ? AND partition = ?"
            " AND block >= ? AND block <= ?"
        )
        self.keep_count = prepare(f"UPDATE $blocks SET events = ? WHERE {_EVENT_KEY}")  # noqa: S608
        self.forget_count = prepare(f"DELETE events FROM $blocks WHERE {_EVENT_KEY}")  # noqa: S608
        self.delete_blocks = prepare("DELETE FROM $blocks WHERE log = ? AND generation = ?")

        self.insert_end = prepare(
            "INSERT INTO $ends (log, generation, partition, last_offset) VALUES (?, ?, ?, ?) USING TIMESTAMP ?"
        )
        self.read_ends = prepare("SELECT partition, last_offset FROM $ends WHERE log = ? AND generation = ?")
        self.delete_ends = prepare("DELETE FROM $ends USING TIMESTAMP ? WHERE log = ? AND generation = ?")

        self.insert_generation = prepare("INSERT INTO $logs (log, generation) VALUES (?, ?)")
        self.read_generation = prepare("SELECT generation FROM $logs WHERE log = ?")
