import io

from rich.console import Console

from millrace.kernel.progress import counting_bar, share_bars


def console() -> Console:
    return Console(file=io.StringIO(), width=80)


def lines(of: Console) -> list[str]:
    assert isinstance(of.file, io.StringIO)
    return of.file.getvalue().splitlines()


def test_a_pipe_gets_a_line_when_one_is_due() -> None:
    out = console()
    bars = counting_bar(out)
    bars._interval_s = 0.0
    with bars:
        task = bars.add_task("trials", total=8)
        bars.update(task, completed=2)
        bars.advance(task)
    assert [line.split(", ")[0] for line in lines(out)] == ["trials: 25 % (2 of 8)", "trials: 38 % (3 of 8)"]


def test_what_is_not_due_is_not_printed_but_the_end_of_each_task_is() -> None:
    out = console()
    with share_bars(out, transient=True) as bars:
        first, second = (bars.add_task(name, total=1.0) for name in ("encoder", "ranker"))
        for share in (0.1, 0.5, 1.0, 1.0):
            bars.update(first, completed=share)
        bars.update(second, completed=0.9)
    assert [line.split(",")[0] for line in lines(out)] == ["encoder: 100 %"]
    assert "left" not in lines(out)[0]


def test_a_terminal_gets_bars_and_no_lines() -> None:
    out = Console(file=io.StringIO(), width=80, force_terminal=True)
    with counting_bar(out) as bars:
        bars._interval_s = 0.0
        bars.update(bars.add_task("trials", total=8), completed=2)
    assert isinstance(out.file, io.StringIO)
    assert "trials: 25 %" not in out.file.getvalue()
    assert "trials" in out.file.getvalue()
