"""`python -m millrace.model.evaluation.rating_stream_report PATH`: grades predicted ratings, test-then-train."""

import argparse

import numpy as np
from rich.console import Console
from rich.table import Table

from millrace.model.content import content_matrix, genre_vocabulary
from millrace.model.evaluation.rating_stream import RatingStream, rating_stream
from millrace.model.rating.error_metrics import calibration, calibration_error
from millrace.model.recorded_stream import load_stream


def main() -> None:
    """Read a MovieLens folder, predict a part of it and print the errors."""
    parser = argparse.ArgumentParser(
        prog="python -m millrace.model.evaluation.rating_stream_report", description=__doc__
    )
    parser.add_argument("path", help="MovieLens folder")
    parser.add_argument(
        "--from", dest="first", type=float, default=0.9, help="share of the stream before the graded part"
    )
    parser.add_argument("--to", type=float, default=1.0, help="share of the stream at the end of the graded part")
    parser.add_argument("--seed", type=int, default=0, help="order of equal seconds, and training")
    arguments = parser.parse_args()
    stream = load_stream(arguments.path, arguments.seed)
    items, events = stream.items(), stream.table()
    genres = genre_vocabulary(items.values())
    content = content_matrix(items, genres, max(items) + 1)
    first, every = round(len(events) * arguments.first), max(len(events) // 20, 1)
    events = events.head(round(len(events) * arguments.to))
    _show(rating_stream(events, content, genres, first, every, arguments.seed))


def _show(stream: RatingStream) -> None:
    console = Console()
    errors = stream.errors()
    table = Table(title=f"Predicted ratings of {len(stream.given):,} events, test-then-train ({stream.seconds:.0f} s)")
    for column in ("model", "RMSE", "MAE", "RMSE below user + item bias"):
        table.add_column(column, justify="left" if column == "model" else "right")
    reference = errors["user + item bias"].rmse
    for name, error in errors.items():
        table.add_row(name, f"{error.rmse:.4f}", f"{error.mae:.4f}", f"{1 - error.rmse / reference:.1%}")
    console.print(table)
    bins = calibration(stream.given, stream.predicted)
    curve = Table(title=f"Calibration: {calibration_error(bins):.3f} stars from the diagonal on average")
    for column in ("predicted", "given", "ratings"):
        curve.add_column(column, justify="right")
    for one in bins:
        curve.add_row(f"{one.predicted:.2f}", f"{one.given:.2f}", f"{one.ratings:,}")
    console.print(curve)
    spread = float(np.std(stream.given))
    console.print(f"Standard deviation of the ratings: {spread:.4f}")


if __name__ == "__main__":
    main()
