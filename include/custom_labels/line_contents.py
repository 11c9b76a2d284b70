"""Which image a manifest line is about and what it says of it, read fast.

A line need not be decoded when it differs in nothing but address and dates from one that was. Its address ends at the
first quote, where no backslash comes before; what stands behind it, apart from dates, is its *shape*. Between quotes,
digits say nothing about how JSON reads the rest, so that lines of one shape say the same.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from operator import lt
from typing import Final, NamedTuple

import msgspec

from include.custom_labels.dataset_entries import content_digest, error_codes, read_entry
from include.custom_labels.errors import ManifestError
from include.custom_labels.history import HISTORY_FOLDER, identity
from include.custom_labels.label_attributes import SOURCE_REF
from include.custom_labels.manifest import ManifestLine, parse_line
from include.custom_labels.quotas import MAX_OBJECT_KEY_BYTES

_DATE: Final = re.compile(rb'"creation-date": ?"[0-9T:.Z+\-]*"')
_PLAIN: Final = rb'[^"\\\x00-\x1f]*+'
_USUAL: Final = re.compile(rb'\{"source-ref": ?("%b(?:\\.%b)*+")(.*)' % (_PLAIN, _PLAIN))
_HEAD: Final = b'{"source-ref":"'
_DATE_NAME: Final = b'"creation-date":"'
_DATE_LENGTH: Final = len("2026-11-22T20:00:00")
_DATE_BYTES: Final = b"0123456789-:T"
# JSON has no such byte, so that it stands for nothing but a date that was taken out.
_NO_DATE: Final = b"\0"
_SOURCE_REF: Final = SOURCE_REF.encode()
_SHAPES_MAX: Final = 10_000
_SHAPE_LENGTH_MAX: Final = 1_000


class Content(NamedTuple):
    """What a line says.

    :ivar digest: equal for lines that say the same, see `include.custom_labels.dataset_entries`
    :ivar labels: of the image and of its boxes, sorted; none where the line has not the format
    :ivar image_labels: image-level ones, sorted
    :ivar box_labels: of its boxes, sorted
    :ivar boxes: how many
    :ivar errors: codes that the service wrote into the line
    :ivar size: width and height that boxes were drawn on, in stored pixels; 0 where no box says
    :ivar is_labelled: as of an `include.custom_labels.dataset_entries.Entry`
    """

    digest: bytes
    labels: tuple[str, ...]
    image_labels: tuple[str, ...] = ()
    box_labels: tuple[str, ...] = ()
    boxes: int = 0
    errors: tuple[str, ...] = ()
    size: tuple[int, int] = (0, 0)
    is_labelled: bool = False


class Run(NamedTuple):
    """Consecutive lines, each about another image, in the order of the images' identities.

    :ivar addresses: the images' identities, UTF-8
    :ivar contents: what lines say, with the number of lines that say it
    """

    addresses: Sequence[bytes]
    contents: Sequence[tuple[Content, int]]


class LineContents:
    """Reads lines, and remembers at most `_SHAPES_MAX` shapes of them, some 5 MB."""

    def __init__(self) -> None:
        self._shapes: dict[bytes, Content] = {}
        self._bucket = b""

    def read(self, line: bytes) -> tuple[str, Content]:
        """The image's identity, empty where the line names none, and what the line says.

        :param line: without its line end
        """
        usual = _USUAL.fullmatch(_DATE.sub(_NO_DATE, line))
        if usual is None or _NO_DATE in line:
            return self._decode(line)
        quoted, shape = usual.groups()
        address = _unescaped(quoted) if b"\\" in quoted else quoted[1:-1]
        content = self._shapes.get(shape)
        if content is None or not self._are_usual((address,)):
            return self._decode(line, address, shape)
        return address.decode(), content

    def read_run(self, block: bytes) -> Run | None:
        """Read many lines at once; None where they are not all of the usual kind and in order.

        :param block: whole lines with their line ends
        """
        text = None if _NO_DATE in block or b"\\" in block else _without_dates(block)
        if text is None or not text.startswith(_HEAD):
            return None
        # A line that begins otherwise stays with the one before it, whose shape is unknown then.
        lines = text[len(_HEAD) : -1].split(b"\n" + _HEAD)
        addresses, _, shapes = zip(*[line.partition(b'"') for line in lines], strict=True)
        counts = Counter(shapes)
        for shape in counts.keys() - self._shapes.keys():
            rest = shape.replace(_NO_DATE, _DATE_NAME + b'"')
            self.read(b'%b%b"%b' % (_HEAD, addresses[shapes.index(shape)], rest))
        contents = [(self._shapes[shape], count) for shape, count in counts.items() if shape in self._shapes]
        is_ordered = all(map(lt, addresses, islice(addresses, 1, None)))
        if len(contents) < len(counts) or not is_ordered or not self._are_usual(addresses):
            return None
        return Run(addresses, contents)

    def _are_usual(self, addresses: Sequence[bytes]) -> bool:
        """Whether addresses in their order, without escapes, are those of objects in the usual bucket."""
        first, last = addresses[0], addresses[-1]
        # What lies between two of the same beginning has it too.
        if first == self._bucket or not (first.startswith(self._bucket) and last.startswith(self._bucket)):
            return False
        try:
            text = b"".join(addresses).decode()
        except UnicodeDecodeError:
            return False
        longest = max(map(len, addresses))
        return text.isprintable() and HISTORY_FOLDER not in text and longest <= MAX_OBJECT_KEY_BYTES.value

    def _decode(self, line: bytes, address: bytes = b"", shape: bytes = b"") -> tuple[str, Content]:
        try:
            parsed = parse_line(line)
        except ManifestError:
            source_ref, entry = read_entry(line)
            errors = error_codes(line) or entry.errors
            return identity(source_ref), Content(entry.content, (), errors=errors, is_labelled=entry.is_labelled)
        content = _content(line, parsed)
        # Behind the first source-ref there may be another one, in any spelling, which is the one that counts then.
        is_usual = address == parsed.source_ref.encode() and _SOURCE_REF not in shape and b"\\" not in shape
        if is_usual and len(shape) <= _SHAPE_LENGTH_MAX:
            if len(self._shapes) >= _SHAPES_MAX:
                self._shapes.clear()
            self._shapes[shape] = content
            self._bucket = address[: address.index(b"/", len("s3://")) + 1]
        return identity(parsed.source_ref), content


def _without_dates(block: bytes) -> bytes | None:
    """The same as the pattern does, where all dates have the canonical length."""
    first, *parts = block.split(_DATE_NAME)
    size = _DATE_LENGTH + 1
    dates, quotes = b"".join([part[:size] for part in parts]), b'"' * len(parts)
    is_usual = len(dates) == size * len(parts) and dates[_DATE_LENGTH::size] == quotes
    if not is_usual or dates.translate(None, _DATE_BYTES) != quotes:
        return None
    return _NO_DATE.join([first, *[part[size:] for part in parts]])


def _unescaped(quoted: bytes) -> bytes:
    """The text of a JSON string; empty where it is none."""
    try:
        return msgspec.json.decode(quoted, type=str).encode()
    except (msgspec.DecodeError, UnicodeDecodeError):
        return b""


def _content(data: bytes, line: ManifestLine) -> Content:
    image_labels = {label.metadata.class_name for label in line.labels}
    box_labels: set[str] = set()
    for _, drawn, metadata in line.boxes:
        named = (metadata.class_map.get(str(box.class_id)) for box in drawn.annotations)
        box_labels.update(label for label in named if label is not None)
    sizes = [(size.width, size.height) for each in line.boxes for size in each.boxes.image_size]
    boxes = sum(len(each.boxes.annotations) for each in line.boxes)
    return Content(
        digest=content_digest(line),
        labels=tuple(sorted(image_labels | box_labels)),
        image_labels=tuple(sorted(image_labels)),
        box_labels=tuple(sorted(box_labels)),
        boxes=boxes,
        errors=error_codes(data),
        size=sizes[0] if sizes else (0, 0),
        is_labelled=bool(line.labels or boxes),
    )
