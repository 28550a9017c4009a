from millrace.load_tests.users.matching import Counts, Matcher, Verdict


def matcher() -> Matcher:
    waiting = Matcher(deadline_s=10.0)
    waiting.expect("a", "anna", sent_s=100.0)
    waiting.expect("b", "bert", sent_s=101.0)
    return waiting


def test_a_list_answers_the_event_that_caused_it() -> None:
    waiting = matcher()
    assert waiting.answered("b", "bert") is Verdict.ANSWER
    assert (waiting.counts.answered, waiting.counts.open) == (1, 1)
    assert waiting.answered("a", "anna", fallback=True) is Verdict.ANSWER
    assert waiting.counts == Counts(sent=2, answered=2, fallback=1)
    assert waiting.counts.open == 0


def test_a_second_copy_is_a_repetition_and_no_answer() -> None:
    waiting = matcher()
    waiting.answered("a", "anna")
    assert waiting.answered("a", "anna") is Verdict.REPEATED
    assert waiting.counts == Counts(sent=2, answered=1, repeated=1)


def test_a_list_for_somebody_else_is_no_answer() -> None:
    waiting = matcher()
    assert waiting.answered("a", "bert") is Verdict.MISDIRECTED
    assert waiting.counts == Counts(sent=2, misdirected=1)
    assert waiting.expire(1000.0) == ["b"]


def test_lists_of_events_that_others_published_are_left_alone() -> None:
    waiting = matcher()
    assert waiting.answered("x", "anna") is Verdict.FOREIGN
    assert waiting.counts == Counts(sent=2, foreign=1)


def test_an_event_is_given_up_at_its_deadline_and_not_before() -> None:
    waiting = matcher()
    assert waiting.expire(109.9) == []
    assert waiting.expire(110.0) == ["a"]
    assert waiting.expire(111.0) == ["b"]
    assert waiting.expire(112.0) == []
    assert waiting.counts == Counts(sent=2, unmatched=2)


def test_a_list_after_the_deadline_is_late_and_changes_no_verdict() -> None:
    waiting = matcher()
    waiting.expire(110.0)
    assert waiting.answered("a", "anna") is Verdict.LATE
    assert waiting.counts == Counts(sent=2, unmatched=1, late=1)


def test_an_event_that_was_refused_is_not_waited_for() -> None:
    waiting = matcher()
    waiting.refused("a")
    assert waiting.expire(1000.0) == ["b"]
    assert waiting.counts == Counts(sent=2, refused=1, unmatched=1)
    # It arrived after all: the broker's confirmation was what got lost.
    assert waiting.answered("a", "anna") is Verdict.LATE


def test_an_answer_outweighs_a_later_refusal() -> None:
    waiting = matcher()
    waiting.answered("a", "anna")
    waiting.refused("a")
    assert waiting.counts == Counts(sent=2, answered=1)
