"""The served system, small enough to be trained in a test."""

from millrace.model.configuration import ModelConfiguration

TINY = ModelConfiguration().with_changes(
    {
        "network.width": 8,
        "network.blocks": 1,
        "encoder.epochs": 1,
        "encoder.refresh_epochs": 1,
        "ranker.epochs": 1,
        "rhythm.ranker_events": 100,
        "rhythm.encoder_growth": 0.5,
    }
)
