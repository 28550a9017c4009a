"""The app side that sends: publisher SDK, MovieLens replay, synthetic streams, dead-letter replay."""
