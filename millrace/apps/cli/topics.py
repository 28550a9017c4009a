"""`millrace topics`: creates the topics of a new installation."""

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Event log and models")(topics)


def topics() -> None:
    """Create missing topics, with MILLRACE_TOPIC_PARTITIONS partitions and MILLRACE_TOPIC_REPLICATION replicas.

    Existing topics stay as they are. The local stack does this by itself, and the embedded one needs no `topics`.

    Examples:
      MILLRACE_TOPIC_REPLICATION=3 millrace topics
    """
    from millrace.apps.cli.options import quiet_kafka
    from millrace.kernel.settings import load_settings
    from millrace.kernel.topic_admin import ensure_topics, standing_topics

    quiet_kafka()
    settings = load_settings()
    for sentence in ensure_topics(settings):
        typer.echo(sentence)
    typer.echo(f"All topics exist: {', '.join(standing_topics(settings))}.")
