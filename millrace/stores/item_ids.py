"""The item ids of a model version, stored beside it: an index means nothing without its item.

A lost Redis gets its indexes back from here (`millrace.streams.rebuild`), so that versions trained before still fit.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from millrace.kernel.contracts import CatalogueItem

FILE = "items.json"


def write_item_ids(folder: Path, items: Mapping[int, CatalogueItem]) -> None:
    """Write the ids of a version's items in the order of their indexes, from 1; null where an index has no item."""
    ids = [items[index].item_id if index in items else None for index in range(1, max(items, default=0) + 1)]
    building = folder / f".{FILE}"
    building.write_text(json.dumps(ids, ensure_ascii=False))
    building.replace(folder / FILE)


def read_item_ids(folder: Path) -> list[str | None] | None:
    """Return what `write_item_ids` wrote, or None for a version without it."""
    try:
        ids: list[str | None] = json.loads((folder / FILE).read_text())
    except FileNotFoundError:
        return None
    return ids


def newest_item_ids(registry_dir: Path) -> list[str | None]:
    """Return the ids of the newest version that has them; empty without one."""
    for folder in sorted(registry_dir.glob("v*"), reverse=True):
        ids = read_item_ids(folder)
        if ids is not None:
            return ids
    return []
