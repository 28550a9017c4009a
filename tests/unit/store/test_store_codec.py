import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from stored_users import user_fields

from millrace.kernel.user_state import ResolvedEvent, ServedList, UserState, apply_event
from millrace.stores.redis import codec

INT32 = st.integers(1, 2**31 - 1)
MS = st.integers(0, 2**52)
VALUE = st.floats(0.5, 5.0, width=32)


@st.composite
def states(draw: st.DrawFn) -> UserState:
    length = draw(st.integers(0, 30))
    served = st.builds(
        ServedList,
        items=st.lists(INT32, max_size=12).map(tuple),
        version=st.none() | st.text(max_size=10),
        arm=st.sampled_from(["champion", "challenger"]),
        recommendation_id=st.text(max_size=40),
    )
    return UserState(
        user_id=draw(st.text(min_size=1, max_size=128)),
        count=draw(st.integers(0, 2**53)),
        value_sum=draw(st.floats(0, 1e12, allow_nan=False)),
        items=draw(hnp.arrays(np.int32, length, elements=INT32)),
        values=draw(hnp.arrays(np.float32, length, elements=VALUE)),
        ts_ms=draw(hnp.arrays(np.int64, length, elements=MS)),
        event_hashes=draw(hnp.arrays(np.uint64, st.integers(0, 20))),
        touched=draw(hnp.arrays(np.int32, st.integers(0, 50), elements=INT32)),
        served=draw(st.none() | served),
        proposals=draw(hnp.arrays(np.int32, st.integers(0, 20), elements=INT32)),
    )


def assert_same(left: UserState, right: UserState) -> None:
    for name in UserState.__dataclass_fields__:
        mine, other = getattr(left, name), getattr(right, name)
        if isinstance(mine, np.ndarray):
            assert mine.dtype == other.dtype, name
            np.testing.assert_array_equal(mine, other, err_msg=name)
        else:
            assert mine == other, name


def round_trip(state: UserState) -> UserState:
    fields = user_fields(state)
    return codec.decode_user(
        state.user_id, [fields.get(name) for name in codec.LOADED_FIELDS], codec.encode_touched(state.touched)
    )


@pytest.mark.parametrize("damaged", [-1, -(2**31)])
def test_a_state_that_names_what_cannot_be_an_item_is_refused(damaged: int) -> None:
    history = np.array([3, damaged], np.int32)
    acted = UserState("u", 2, 8.0, history, np.full(2, 4, np.float32), np.array([9, 5], np.int64))
    with pytest.raises(ValueError, match="items of user 'u'"):
        round_trip(acted)
    with pytest.raises(ValueError, match="touched of user 'u'"):
        round_trip(UserState("u", touched=history))


@given(states())
def test_every_state_comes_back_exactly(state: UserState) -> None:
    assert_same(round_trip(state), state)


def test_an_unknown_user_is_an_empty_state() -> None:
    state = codec.decode_user("u", [None] * len(codec.LOADED_FIELDS), None)
    assert_same(state, UserState("u"))


def test_a_decoded_state_takes_the_next_event() -> None:
    state = apply_event(UserState("u"), ResolvedEvent("e1", "u", 7, 4.5, 1000)).state
    again = apply_event(round_trip(state), ResolvedEvent("e2", "u", 8, 3.0, 2000)).state
    assert again.items.tolist() == [8, 7]
    assert apply_event(again, ResolvedEvent("e1", "u", 7, 4.5, 1000)).duplicate


def test_the_history_is_readable_json_newest_first() -> None:
    state = UserState("u", 2, 7.5, np.array([9, 4], np.int32), np.array([3.0, 4.5], np.float32), np.array([20, 10]))
    assert json.loads(user_fields(state)[b"history"]) == [[9, 3.0, 20], [4, 4.5, 10]]


def test_touched_is_little_endian_int32_that_can_be_appended() -> None:
    assert codec.encode_touched([1, 258]) == b"\x01\x00\x00\x00\x02\x01\x00\x00"
    both = codec.encode_touched([3, 1]) + codec.encode_touched([2])
    assert codec.decode_touched(both).tolist() == [3, 1, 2]


def test_padding_is_left_out_of_proposals() -> None:
    assert codec.encode_proposals(np.array([5, 3, 0, 0], np.int32)) == b"[5,3]"
