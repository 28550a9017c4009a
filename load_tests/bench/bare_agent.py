"""The baseline: the simplest Faust agent, which consumes each record and publishes it again.

Run as `python -m millrace.load_tests.bench.bare_agent BROKER IN_TOPIC OUT_TOPIC PARTITIONS`; ends on SIGTERM.
"""

import sys
import tempfile

import faust

SCHEME = "kafka://"


def make_app(broker: str, in_topic: str, out_topic: str, partitions: int, data_dir: str) -> faust.App:
    """Return an app with one agent from `in_topic` to `out_topic`; values are passed on as bytes."""
    app = faust.App(
        f"bare-{in_topic}",
        broker=SCHEME + broker,
        value_serializer="raw",
        key_serializer="raw",
        topic_partitions=partitions,
        topic_disable_leader=True,
        topic_allow_declare=False,
        web_enabled=False,
        stream_wait_empty=False,
        consumer_auto_offset_reset="earliest",
        datadir=data_dir,
    )
    source = app.topic(in_topic, key_type=bytes, value_type=bytes, partitions=partitions)
    sink = app.topic(out_topic, key_type=bytes, value_type=bytes, partitions=partitions)

    @app.agent(source)  # type: ignore[untyped-decorator]
    async def republish(stream: faust.StreamT[bytes]) -> None:
        async for event in stream.events():
            await sink.send(key=event.key, value=event.value)

    return app


def main() -> None:
    """Run the agent until SIGTERM."""
    broker, in_topic, out_topic, partitions = sys.argv[1:5]
    with tempfile.TemporaryDirectory(prefix="millrace-bare-") as data_dir:
        app = make_app(broker, in_topic, out_topic, int(partitions), data_dir)
        app.Worker(loglevel="warning").execute_from_commandline()


if __name__ == "__main__":
    main()
