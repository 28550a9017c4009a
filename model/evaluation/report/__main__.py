"""`python -m millrace.model.evaluation.report REPORT FOLDER`: the plots of a report as SVG files."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from millrace.model.evaluation.report import plots
from millrace.model.evaluation.report.figures import PrequentialReport


def svg_files(report: PrequentialReport) -> dict[str, str]:
    """Return file name -> SVG of the plots that a report can be drawn with."""
    files = {
        "quality-over-the-stream.svg": plots.quality_over_stream(report),
        "quality-by-history.svg": plots.hit_rate_bars(report.by_history_length, report, wide=True),
        "coverage.svg": plots.shown_plot(report.shown_curve, report),
        "time.svg": plots.time_plot(report),
    }
    if report.predicted_rating is not None:
        files["calibration.svg"] = plots.calibration_plot(report.predicted_rating.calibration)
    return {name: text for name, text in files.items() if text}


def main(argv: Sequence[str] | None = None) -> None:
    """Draw."""
    parser = argparse.ArgumentParser(prog="python -m millrace.model.evaluation.report", description=__doc__)
    parser.add_argument("report", type=Path, help="what `millrace evaluate prequential PATH --report` wrote")
    parser.add_argument("folder", type=Path, help="where the files go; made if need be")
    given = parser.parse_args(argv)
    try:
        report = PrequentialReport.model_validate_json(given.report.read_bytes())
        given.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"{error.filename}: {error.strerror}.")
    except ValidationError:
        parser.error(f"{given.report} is no report of the prequential protocol; write one with --report.")
    files = svg_files(report)
    for name, text in files.items():
        (given.folder / name).write_text(text)
    sys.stdout.write(f"Wrote {len(files)} plots to {given.folder}\n")


if __name__ == "__main__":
    main()
