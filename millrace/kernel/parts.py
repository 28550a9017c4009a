"""Cutting what is many into parts of a size that one message carries."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

_Value = TypeVar("_Value")


def in_parts(values: Iterable[_Value], size: int) -> Iterator[list[_Value]]:
    """Yield the values in order, `size` at a time; the last part may be shorter, and none is empty."""
    iterator = iter(values)
    while part := list(islice(iterator, size)):
        yield part
