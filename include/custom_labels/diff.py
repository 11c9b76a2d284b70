"""The difference between two snapshots of a dataset, image by image.

Both are streams sorted by the images' identity (`include.custom_labels.history`), which are merged: in memory are the
lines at hand, counts by label, capped samples, and 8 bytes for each image that was added or removed
(`include.custom_labels.moves`). Images are never compared by their place in the file, by counts or by dates.

==============  =======================================================================================
an image is     when
==============  =======================================================================================
added, removed  only one of the snapshots has it
changed         the object has another ETag or size; not known where there are no ledgers to tell
relabelled      its labels or boxes differ: what the line says, and not its bytes, dates or job names
moved           it was removed, and the only image added with its ETag and size is the only one removed
                with them; it counts as removed and added all the same
==============  =======================================================================================

An image may be changed and relabelled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Final, Literal, NamedTuple

import msgspec

from include.custom_labels.codes import Code
from include.custom_labels.errors import ManifestError
from include.custom_labels.line_contents import Content, LineContents
from include.custom_labels.line_stream import LineStream
from include.custom_labels.manifest import decode_line
from include.custom_labels.merge import describe
from include.custom_labels.moves import Moves
from include.custom_labels.quotas import MAX_FINDING_SAMPLES

Difference = Literal["added", "removed", "changed", "relabelled", "moved"]

DIFFERENCES: Final[tuple[Difference, ...]] = ("added", "removed", "changed", "relabelled", "moved")

# More names than any dataset may have; further ones are not counted.
_LABELS_MAX: Final = 10_000
# Of how many added and removed images the samples are chosen: the names of as many are known once all moves are.
_CANDIDATES_MAX: Final = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One side of a comparison.

    :ivar manifest: its bytes, cut anywhere; the lines are sorted by the images' identity
    :ivar objects: key, ETag without quotes and size in bytes of at least the manifest's images, sorted by key, from
        the ledger; None where there is none
    """

    manifest: Iterable[bytes]
    objects: Iterable[tuple[str, str, int]] | None = None


class LabelCount(msgspec.Struct, frozen=True, kw_only=True):
    """Images with a label; one image counts once."""

    before: int
    after: int


class DiffSample(msgspec.Struct, frozen=True, kw_only=True):
    """One image of a kind of difference.

    :ivar image: its identity; of a moved one, where it is now
    :ivar before: what its line said, its object was, or where it lay; empty for an added image
    :ivar after: the same afterwards; empty for a removed image
    """

    image: str
    before: str = ""
    after: str = ""


class ImageDifference(NamedTuple):
    """One difference of one image.

    :ivar image: its identity; of a moved one, where it is now
    :ivar before: its line, without the line end; None where the first side has none
    :ivar after: its line, without the line end; None where the second side has none
    :ivar before_object: ETag and size in bytes, where they are known
    :ivar after_object: ETag and size in bytes, where they are known
    :ivar moved_from: identity under which a moved image was, else empty
    """

    difference: Difference
    image: str
    before: bytes | None = None
    after: bytes | None = None
    before_object: tuple[str, int] | None = None
    after_object: tuple[str, int] | None = None
    moved_from: str = ""


class SnapshotDiff(msgspec.Struct, frozen=True, kw_only=True):
    """Totals are true, samples are the first few; of added and removed images, those that were not moved come first.

    :ivar changed: None where it is not known, because one of the sides has no ledger
    :ivar moved: pairs; None where `changed` is
    :ivar not_compared: images of both sides whose ETag is not known on one of them
    :ivar labels: images per label, by label; also of labels that did not change
    :ivar labels_appeared: labels that only the second side has
    :ivar labels_vanished: labels that only the first side has
    """

    images_before: int
    images_after: int
    added: int
    removed: int
    changed: int | None
    relabelled: int
    moved: int | None
    not_compared: int
    labels: dict[str, LabelCount]
    labels_appeared: list[str]
    labels_vanished: list[str]
    samples: dict[Difference, list[DiffSample]]

    @property
    def is_empty(self) -> bool:
        """Whether no difference is known."""
        return not (self.added or self.removed or self.changed or self.relabelled)


def diff_snapshots(
    before: Snapshot,
    after: Snapshot,
    *,
    samples_per_difference: int = MAX_FINDING_SAMPLES.value,
    on_difference: Callable[[ImageDifference], None] | None = None,
) -> SnapshotDiff:
    """Compare two snapshots.

    :param on_difference: is told each difference, in the order of the images' identities; moved images come last
    :raises ManifestError: MANIFEST_NOT_SORTED where a side is not sorted or has an image twice, or one of AWS's codes
        where a line names no image or is too long; ``manifest``, first or second, is in the error's details
    """
    comparison = _Comparison(before, after, samples_per_difference, on_difference)
    comparison.run()
    return comparison.result()


class _Side:
    """One of the two streams as far as it has been read.

    :ivar identity: of the line that was read last
    :ivar content: of the line that was read last
    """

    def __init__(
        self,
        name: str,
        manifest: Iterable[bytes],
        objects: Iterable[tuple[str, str, int]],
        contents: LineContents,
    ) -> None:
        self.name = name
        self.stream = LineStream(name, manifest)
        self.identity = ""
        self.content = Content(b"", ())
        self._contents = contents
        self._is_read = False
        self._objects = iter(objects)
        self._object = next(self._objects, None)

    @property
    def is_at_end(self) -> bool:
        return self.stream.line is None

    def read(self) -> None:
        """Have identity and content of the line at hand, where there is one."""
        if not self._is_read and self.stream.line is not None:
            self.identity, self.content = self._contents.read(self.stream.line)
            self._is_read = True

    def read_as(self, other: _Side) -> None:
        """The same, where the other side has read the same line."""
        self.identity, self.content, self._is_read = other.identity, other.content, True

    def step(self) -> None:
        self.stream.step()
        self._is_read = False

    def skip(self, block: bytes) -> None:
        self.stream.skip(block)
        self._is_read = False

    def object_of(self, identity: str) -> tuple[str, int] | None:
        """ETag and size of an image that comes after all images that were asked for; None where they are not known."""
        row = self._object
        if row is None:
            return None
        key = identity.split("/", 3)[-1]
        while row is not None and row[0] < key:
            row = next(self._objects, None)
        self._object = row
        return (row[1], row[2]) if row is not None and row[0] == key and row[1] else None

    def describe(self) -> str:
        """What the line at hand says, for people."""
        return describe(self.stream.line or b"")

    def disorder(self, last: str) -> ManifestError:
        """Why the line at hand cannot follow what came before it."""
        place, details = self.stream.place, {"manifest": self.name, "line_number": self.stream.number}
        if self.identity:
            return ManifestError(
                "MANIFEST_NOT_SORTED",
                f"{place} is about {self.identity!r}, and comes after {last!r}.",
                "Sort the lines by source-ref, in the order of UTF-8 bytes, and keep one for each image.",
                **details,
            )
        fault = decode_line(self.stream.line or b"")
        code = Code.ERROR_INVALID_JSON_LINE if isinstance(fault, str) else Code.ERROR_MISSING_SOURCE_REF
        return ManifestError(code, f"{place} names no image. {code.message}", code.next_step, **details)


class _Comparison:
    def __init__(
        self,
        before: Snapshot,
        after: Snapshot,
        samples_per_difference: int,
        on_difference: Callable[[ImageDifference], None] | None,
    ) -> None:
        self._on_difference = on_difference
        self._contents = LineContents()
        old, new = before.objects, after.objects
        self._has_objects = old is not None and new is not None
        if old is None or new is None:
            old = new = ()
        self._before = _Side("first", before.manifest, old, self._contents)
        self._after = _Side("second", after.manifest, new, self._contents)
        self._last = ""
        self._labels_before: Counter[str] = Counter()
        self._labels_after: Counter[str] = Counter()
        self._totals: Counter[Difference] = Counter()
        self._not_compared = 0
        self._moves = Moves()
        self._samples: dict[Difference, list[DiffSample]] = {difference: [] for difference in DIFFERENCES}
        self._samples_max = samples_per_difference

    def run(self) -> None:
        before, after = self._before.stream, self._after.stream
        while before.line is not None or after.line is not None:
            if before.line != after.line:
                self._take_next()
                continue
            block = before.common_block(after)
            if not self._take_block(block):
                for _ in range(block.count(b"\n")):
                    self._take_next()
        if self._on_difference is not None:
            for old, new in self._moves.pairs():
                self._on_difference(ImageDifference("moved", new, moved_from=old))

    def _take_block(self, block: bytes) -> bool:
        """Take lines that both sides have; False where they have to be taken one by one."""
        run = self._contents.read_run(block)
        if run is None or run.addresses[0].decode() <= self._last:
            return False
        for content, images in run.contents:
            _count(self._labels_before, content, images)
            _count(self._labels_after, content, images)
        if self._has_objects:
            for address, line in zip(run.addresses, block[:-1].split(b"\n"), strict=True):
                self._compare_objects(address.decode(), line, line)
        self._last = run.addresses[-1].decode()
        self._before.skip(block)
        self._after.skip(block)
        return True

    def _take_next(self) -> None:
        """Take the next image, from the side or sides that have it."""
        before, after = self._before, self._after
        before.read()
        if after.stream.line == before.stream.line:
            after.read_as(before)
        else:
            after.read()
        is_before = not before.is_at_end and (after.is_at_end or before.identity <= after.identity)
        is_after = not after.is_at_end and (before.is_at_end or after.identity <= before.identity)
        side = before if is_before else after
        if side.identity <= self._last:
            raise side.disorder(self._last)
        self._last = side.identity
        if is_before:
            _count(self._labels_before, before.content)
        if is_after:
            _count(self._labels_after, after.content)
        if is_before and is_after:
            self._compare()
        elif is_before:
            self._note("removed", before.identity, before.stream.line, None, lambda: (before.describe(), ""))
            self._moves.remove(before.identity, before.object_of(before.identity))
        else:
            self._note("added", after.identity, None, after.stream.line, lambda: ("", after.describe()))
            self._moves.add(after.identity, after.object_of(after.identity))
        if is_before:
            before.step()
        if is_after:
            after.step()

    def _compare(self) -> None:
        """Compare the two lines of an image."""
        before, after = self._before, self._after
        old, new = before.stream.line, after.stream.line
        if before.content.digest != after.content.digest:
            self._note("relabelled", before.identity, old, new, lambda: (before.describe(), after.describe()))
        if self._has_objects:
            self._compare_objects(before.identity, old, new)

    def _compare_objects(self, identity: str, before: bytes | None, after: bytes | None) -> None:
        old, new = self._before.object_of(identity), self._after.object_of(identity)
        if old is None or new is None:
            self._not_compared += 1
        elif old != new:
            self._note("changed", identity, before, after, lambda: (_object_text(*old), _object_text(*new)))

    def _note(
        self,
        difference: Difference,
        image: str,
        before: bytes | None,
        after: bytes | None,
        describe_both: Callable[[], tuple[str, str]],
    ) -> None:
        self._totals[difference] += 1
        samples = self._samples[difference]
        may_be_moved = self._has_objects and difference in ("added", "removed")
        if len(samples) < max(self._samples_max, _CANDIDATES_MAX if may_be_moved else 0):
            said_before, said_after = describe_both()
            samples.append(DiffSample(image=image, before=said_before, after=said_after))
        if self._on_difference is not None:
            old = self._before.object_of(image) if before is not None else None
            new = self._after.object_of(image) if after is not None else None
            self._on_difference(ImageDifference(difference, image, before, after, old, new))

    def result(self) -> SnapshotDiff:
        """The difference, once `run` is through."""
        before, after = self._labels_before, self._labels_after
        moves = dict(self._moves.pairs())
        # An image that was only moved is no good sample of what is gone or new.
        self._samples["removed"].sort(key=lambda sample: sample.image in moves)
        moved_to = set(moves.values())
        self._samples["added"].sort(key=lambda sample: sample.image in moved_to)
        samples = {difference: found[: self._samples_max] for difference, found in self._samples.items()}
        pairs = islice(moves.items(), self._samples_max)
        samples["moved"] = [DiffSample(image=new, before=old, after=new) for old, new in pairs]
        return SnapshotDiff(
            images_before=self._before.stream.number - 1,
            images_after=self._after.stream.number - 1,
            added=self._totals["added"],
            removed=self._totals["removed"],
            changed=self._totals["changed"] if self._has_objects else None,
            relabelled=self._totals["relabelled"],
            moved=self._moves.count() if self._has_objects else None,
            not_compared=self._not_compared,
            labels={
                label: LabelCount(before=before[label], after=after[label])
                for label in sorted(before.keys() | after.keys())
            },
            labels_appeared=sorted(after.keys() - before.keys()),
            labels_vanished=sorted(before.keys() - after.keys()),
            samples=samples,
        )


def _count(images_per_label: Counter[str], content: Content, images: int = 1) -> None:
    for label in content.labels:
        if label in images_per_label or len(images_per_label) < _LABELS_MAX:
            images_per_label[label] += images


def _object_text(etag: str, size_bytes: int) -> str:
    return f"{size_bytes:,} bytes, ETag {etag}"
