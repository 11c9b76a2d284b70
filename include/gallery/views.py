"""Which images a view shows, and in which order."""

from __future__ import annotations

import threading
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final

import msgspec
from cachetools import LRUCache

from include.gallery.catalog import CHANGE_NAMES, Catalog, Changes, id_of
from include.gallery.messages import View

VIEWS_SIZE_BYTES: Final = 64 << 20
"""Of the lists of recent views: sixty-four of a million images."""

ANY_ERROR: Final = "*"

# An equation, so that an index has these images in the order of their keys.
_IN_DATASET: Final = "in_dataset = 1"
_ORDERS: Final = {
    "key": "key {0}, n {0}",
    # Images without a label come last, and boxes count where there is none of the image.
    "label": "labels = '[]' AND box_labels = '[]', labels {0}, box_labels {0}, key, n",
    "boxes": "boxes {0}, key, n",
    "pixels": "width * height {0}, key, n",
    "size": "size_bytes {0}, key, n",
    "modified": "last_modified {0}, key, n",
    "change": "changes = 0, changes & -changes {0}, key, n",
}


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition of SQL on the table ``images``, and its parameters."""

    text: str
    parameters: tuple[Any, ...]


def condition_of(view: View) -> Condition:
    """Which images the view shows; whatever a person wrote is a parameter."""
    texts: list[str] = []
    parameters: list[Any] = []

    def add(text: str, *values: Any) -> None:
        texts.append(text)
        parameters.extend(values)

    if not view.state and not view.reason:
        # What the snapshot removed is shown to those who ask what it removed.
        is_removal_asked = "removed" in view.change
        add(
            f"({_IN_DATASET} OR changes & ?)" if is_removal_asked else _IN_DATASET,
            *[Changes.REMOVED] * is_removal_asked,
        )
    for column, values in (("state", view.state), ("reason", view.reason)):
        if values:
            add(f"{column} IN ({_marks(values)})", *values)
    if view.label:
        add(
            "n IN (SELECT n FROM image_labels WHERE label IN "
            f"(SELECT label FROM labels WHERE name IN ({_marks(view.label)})))",
            *view.label,
        )
    if view.labelled is not None:
        add("labelled" if view.labelled else "NOT labelled")
    if view.boxed is not None:
        add("boxes > 0" if view.boxed else "boxes = 0")
    if ANY_ERROR in view.error:
        add("n IN (SELECT n FROM image_errors)")
    elif view.error:
        add(f"n IN (SELECT n FROM image_errors WHERE code IN ({_marks(view.error)}))", *view.error)
    if view.change:
        add("changes & ?", sum({int(CHANGE_NAMES[change]) for change in view.change}))
    if view.key:
        add("instr(coalesce(folded, key), ?)", view.key.casefold())
    return Condition(" AND ".join(f"({text})" for text in texts) or "1", tuple(parameters))


def order_of(view: View) -> str:
    """The order as SQL; two images are never in the same place."""
    return _ORDERS[view.sort].format("DESC" if view.descending else "ASC")


def _marks(values: list[str]) -> str:
    return ",".join("?" * len(values))


class Views:
    """The images of recent views as lists of numbers, so that any page of them is there at once."""

    def __init__(self, size_bytes: int = VIEWS_SIZE_BYTES) -> None:
        self._lock = threading.Lock()
        self._numbers: LRUCache[tuple[Path, int, bytes], array[int]] = LRUCache(size_bytes, getsizeof=_size_of)

    def numbers(self, catalog: Catalog, view: View) -> array[int]:
        """The numbers of the view's images, in its order; not to be changed."""
        key = (catalog.path, catalog.revision, msgspec.json.encode(view))
        with self._lock:
            found = self._numbers.get(key)
        if found is None:
            found = array("I", _select(catalog, view, "n"))
            with self._lock:
                # One that is too large to be kept is answered all the same.
                if _size_of(found) <= self._numbers.maxsize:
                    self._numbers[key] = found
        return found

    def position(self, catalog: Catalog, view: View, number: int) -> tuple[array[int], int | None]:
        """The view's images and where an image is among them; None where it is not."""
        numbers = self.numbers(catalog, view)
        try:
            return numbers, numbers.index(number)
        except ValueError:
            return numbers, None


def view_ids(catalog: Catalog, view: View) -> list[str]:
    """Ids of the view's images that are in the dataset, all of which have an entry, in its order."""
    return [id_of(number) for number in _select(catalog, view, "id", f" AND {_IN_DATASET}")]


def _select(catalog: Catalog, view: View, column: str, more: str = "") -> Iterator[int]:
    condition = condition_of(view)
    with catalog.connection() as connection:
        rows = connection.execute(
            f"SELECT {column} FROM images WHERE {condition.text}{more} ORDER BY {order_of(view)}",
            condition.parameters,
        )
        yield from chain.from_iterable(rows)


def _size_of(numbers: array[int]) -> int:
    return len(numbers) * numbers.itemsize + 200
