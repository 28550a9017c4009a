"""Tries every kind of fault on a running system: `python -m millrace.load_tests.recovery`, or `make recovery`."""

import random
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from millrace.kernel.errors import ConfigurationError, MillraceError
from millrace.load_tests.recovery.faults import KINDS, UntriedError, trials_of
from millrace.load_tests.recovery.report import markdown, rows_of, write_report
from millrace.load_tests.recovery.trial import TrialResult, Trials

_HOME = Path(".millrace/recovery")
_MOST_SEEDS = 1_000_000
_VERIFY_EVERY = 20
_SHOWN = 20


def recovery(
    kinds: Annotated[str, typer.Option(help="Kinds or their beginnings, with commas: kill, cut-redis.")] = "",
    times: Annotated[int, typer.Option(min=1, help="How often to try each kind.")] = 10,
    seed: Annotated[int | None, typer.Option(help="Decides load, order, victims and moments; default: any.")] = None,
    rate: Annotated[float, typer.Option(min=1.0, help="Records per second.")] = 60.0,
    report: Annotated[Path | None, typer.Option(help="Page to put the table into, between its markers.")] = None,
    home: Annotated[Path, typer.Option(help="Folder for logs and data; emptied.")] = _HOME,
) -> None:
    """Try faults on real servers and roles under load, and compare everything after each.

    Fail if anything was lost or differs, or if the system does not recover by itself.

    Examples:
        python -m millrace.load_tests.recovery --kinds kill --times 2
        python -m millrace.load_tests.recovery --report out.md
    """
    console = Console()
    seed = random.randrange(_MOST_SEEDS) if seed is None else seed
    chosen = choose(kinds)
    plan = [trial for _ in range(times) for trial in trials_of(chosen)]
    random.Random(seed).shuffle(plan)
    console.print(f"Seed {seed}; {len(plan)} trials of {len(chosen)} kinds at {rate:g} records/s; logs in {home}.")
    started_s = time.monotonic()
    results, untried, differences = _run(console, plan, home, seed, rate)
    rows = rows_of(results)
    minutes = (time.monotonic() - started_s) / 60
    notes = [
        f"Seed {seed}, {rate:g} records/s, {len(results)} trials in {minutes:.0f} minutes:",
        f"`python -m millrace.load_tests.recovery{f' --kinds {kinds}' if kinds else ''} --times {times} "
        f"--rate {rate:g} --seed {seed}`.",
        f"Differences that `millrace verify` found, every {_VERIFY_EVERY} trials and at the end: {len(differences)}.",
        *(f"Not tried: {kind}: {why}." for kind, why in sorted(untried.items())),
    ]
    text = markdown(rows, notes)
    console.print(text, highlight=False, markup=False, soft_wrap=True)
    if report is not None:
        write_report(report, text)
    if untried or differences or not all(result.findings.clean for result in results):
        raise typer.Exit(1)


def choose(text: str) -> list[str]:
    """Return the kinds that a list of names or beginnings of names stands for; all for an empty one.

    Raises:
        ConfigurationError: There is no such kind.
    """
    wanted = [part.strip() for part in text.split(",") if part.strip()]
    chosen = {kind for part in wanted for kind in _kinds_of(part)}
    return [kind for kind in KINDS if not wanted or kind in chosen]


def _kinds_of(part: str) -> list[str]:
    """Return the kind of this name, or all whose names begin so: `kill-worker` is not `kill-workers`."""
    kinds = [part] if part in KINDS else [kind for kind in KINDS if kind.startswith(part)]
    if not kinds:
        raise ConfigurationError(f"There is no fault {part}; there are {', '.join(KINDS)}.")
    return kinds


def _run(
    console: Console, plan: list[tuple[str, ...]], home: Path, seed: int, rate: float
) -> tuple[list[TrialResult], dict[str, str], list[str]]:
    results: list[TrialResult] = []
    untried: dict[str, str] = {}
    differences: list[str] = []
    with Trials(home, seed, rate, lambda sentence: console.print(sentence, style="dim")) as trials:
        for number, kinds in enumerate(plan, start=1):
            where = f"[{number}/{len(plan)}] {' + '.join(kinds)}"
            try:
                result = trials.run(kinds)
            except UntriedError as error:
                untried.update(dict.fromkeys(kinds, str(error)))
                continue
            results.append(result)
            outcome = "as promised" if result.findings.clean else f"BROKEN: {result.findings}"
            console.print(
                f"{where}: {outcome}; next list after {result.fresh_list_s:.1f} s, all well after "
                f"{result.whole_s:.1f} s ({result.last_awaited}), {result.findings.repeated_lists} lists repeated",
                highlight=False,
                markup=False,
                soft_wrap=True,
            )
            if number % _VERIFY_EVERY == 0 or number == len(plan):
                differences += _verified(console, trials)
    return results, untried, differences


def _verified(console: Console, trials: Trials) -> list[str]:
    """Recompute everything from the log; the costs grow with it, so not after each trial."""
    differences = trials.verify()
    console.print(f"`millrace verify` finds {len(differences)} differences.", style="dim", markup=False)
    for difference in differences[:_SHOWN]:
        console.print(difference, style="red", markup=False, soft_wrap=True)
    return differences


def main() -> None:
    """Run the command; a failure is one sentence."""
    try:
        typer.run(recovery)
    except MillraceError as error:
        Console(stderr=True).print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
