from millrace.apps.stacks.restart_backoff import RestartBackoff


def test_what_keeps_ending_is_started_less_and_less_often() -> None:
    now_s = 1000.0
    backoff = RestartBackoff(lambda: now_s)
    starts = []
    for second in range(200):
        now_s = 1000.0 + second
        if backoff.due():
            starts.append(second)
    gaps = [later - earlier for earlier, later in zip(starts, starts[1:], strict=False)]
    assert starts[0] == 0
    assert gaps == [1, 2, 4, 8, 16, *[30] * (len(gaps) - 5)]
    now_s += 10_000
    assert backoff.due()
    now_s += 1
    assert backoff.due()
