"""`millrace tune PATH`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from millrace.model.tuning.search import Found
    from millrace.model.tuning.warm_up import WarmUpStream


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Event log and models")(tune)


def tune(
    path: Annotated[Path, typer.Argument(help="MovieLens folder.")],
    trials: Annotated[int, typer.Option(min=1, help="End after so many trials, those of earlier runs included.")] = 40,
    budget: Annotated[str, typer.Option(help="End after this time: 90s, 30m, 2h.")] = "30m",
    jobs: Annotated[int, typer.Option(min=1, help="Processes; each needs a core and about 1.5 GiB.")] = 1,
    output: Annotated[Path, typer.Option(help="Where the best configuration is written.")] = Path("model.toml"),
    work: Annotated[
        Path | None, typer.Option(help="Folder of the study; further runs join it. Default: HOME/tuning.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the proposals and of the order of equal times.")] = 0,
    report: Annotated[Path | None, typer.Option(help="Write the result to this file as JSON.")] = None,
) -> None:
    """Search a better model configuration on the warm-up part of a stream.

    The search gets the first 30 % of the stream alone: it trains on the first 20 % and grades the next 10 %. What
    `millrace evaluate` grades takes no part. The defaults are tried first.

    Examples:
      millrace tune data/ml-latest-small --budget 30m --jobs 2
      millrace evaluate prequential ml-25m --configuration model.toml
      MILLRACE_MODEL_CONFIGURATION=model.toml millrace retrainer
    """
    from millrace.apps.cli.blas import use_one_thread

    use_one_thread()
    from rich.console import Console

    from millrace.apps.cli.options import check_writable, write_report
    from millrace.kernel.durations import seconds_of
    from millrace.kernel.progress import counting_bar
    from millrace.kernel.settings import load_settings
    from millrace.model.tuning.processes import SearchOptions, search

    budget_s = seconds_of(budget)
    check_writable(report)
    stream = _stream(path, seed)
    options = SearchOptions(work or load_settings().home / "tuning", trials, budget_s, jobs, seed)
    with counting_bar(Console(stderr=True)) as bar:
        task = bar.add_task("trials", total=trials)
        from millrace.model.tuning.make_served import make_served  # it imports TensorFlow: seconds

        found = search(stream, make_served, options, progress=lambda finished: bar.update(task, completed=finished))
    _write(output, found, path, stream)
    write_report(report, as_json(found, stream))
    Console(markup=False).print(summary(found, stream, output))


def _stream(path: Path, seed: int) -> "WarmUpStream":
    """Return the part before the graded one; what lies behind is out of reach of everything called with it."""
    from millrace.model.evaluation.split import Split, check_learnable
    from millrace.model.recorded_stream import load_stream
    from millrace.model.tuning.warm_up import warm_up_stream

    whole = load_stream(path, seed)
    split = Split.of(len(whole.events))
    check_learnable(split)
    return warm_up_stream(whole.events, whole.catalogue, split)


def _write(output: Path, found: "Found", path: Path, stream: "WarmUpStream") -> None:
    from millrace.model.configuration import write_configuration

    remarks = (
        f"Best of {found.complete} complete and {found.pruned} pruned trials of `millrace tune` on the first "
        f"{len(stream.events)} events of {path.name}.",
        f"NDCG@10 on the warm-up, where it was chosen: {found.ndcg:.4f}; of the defaults: {_figure(found)}.",
    )
    write_configuration(output, found.configuration, remarks)


def as_json(found: "Found", stream: "WarmUpStream") -> "dict[str, object]":
    """Return the result for `--report`."""
    return {
        "ndcg_at_10_warm_up": found.ndcg,
        "ndcg_at_10_warm_up_of_defaults": found.default_ndcg,
        "trials_complete": found.complete,
        "trials_pruned": found.pruned,
        "seconds_of_trials": found.seconds,
        "events": len(stream.events),
        "first_warm_up_row": stream.split.warm_up,
        "configuration": found.configuration.changed(),
    }


def summary(found: "Found", stream: "WarmUpStream", output: Path) -> "Table":
    """Return what was found and what it is worth."""
    from rich.table import Table

    table = Table(title="The best configuration", show_header=False, title_justify="left")
    rows = {
        "trials": f"{found.complete} complete, {found.pruned} given up, {found.seconds:.0f} s together",
        "NDCG@10 on the warm-up": f"{found.ndcg:.4f}; of the defaults {_figure(found)}",
        "graded on": f"events {stream.split.graded} to {stream.split.stop}, where it was chosen: expect less elsewhere",
    }
    for section, fields in found.configuration.changed().items():
        for name, value in fields.items():
            rows[f"{section}.{name}"] = f"{value:.5g}" if isinstance(value, float) else str(value)
    rows["written to"] = str(output)
    for name, text in rows.items():
        table.add_row(name, text)
    return table


def _figure(found: "Found") -> str:
    return "not known" if found.default_ndcg is None else f"{found.default_ndcg:.4f}"
