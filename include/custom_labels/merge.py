"""The three-way merge of a refresh: what the dataset holds afterwards, image by image.

Compared are *ours*, the line just built from the source; *theirs*, the dataset's entry now, in which people may have
labelled, relabelled and drawn boxes; and *base*, what was last registered. An entry that says neither what we say now
nor what we have ever sent is a person's work:

========================  =======================  ==========================================================
ours                      theirs                   outcome
========================  =======================  ==========================================================
a line                    none                     NEW
a line                    says the same            SAME
a line                    says what base says      CHANGED: ours is the newer
a line                    a person's work          KEPT; with ``human_edits: overwrite`` OVERWRITTEN
a line, other bytes       a person's boxes, which  MISFIT: the image is quarantined, the boxes are kept aside
                          do not fit its size
none                      brought by this import   REMOVED; with ``removals: hold`` HELD
none                      anything else            OTHER: it stays
========================  =======================  ==========================================================

A person's work about an image that the dataset does not hold any more is *kept aside* in the ledger, and is taken up
again when the image comes back and fits. An entry *says the same* when its labels and boxes do
(`include.custom_labels.dataset_entries.read_entry`). Images are the same by their identity
(`include.custom_labels.history.identity`); an entry whose source-ref is another place of the same image is STALE.

All streams are sorted by identity, and one image at a time is in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from heapq import merge as merge_sorted
from itertools import groupby
from operator import attrgetter
from typing import Any, Literal

import msgspec

from include.custom_labels.dataset_entries import Entry, read_entry
from include.custom_labels.errors import ManifestError
from include.custom_labels.label_attributes import SOURCE_REF
from include.custom_labels.line_rules import check_line
from include.custom_labels.manifest import parse_line


class Outcome(StrEnum):
    """What a refresh does with an image's entry."""

    NEW = "new"
    SAME = "same"
    CHANGED = "changed"
    KEPT = "kept"
    OVERWRITTEN = "overwritten"
    MISFIT = "misfit"
    REMOVED = "removed"
    HELD = "held"
    OTHER = "other"
    STALE = "stale"


@dataclass(frozen=True, slots=True, kw_only=True)
class OurImage:
    """An image of the manifest just built.

    :ivar line: with or without its line end
    :ivar width: stored pixels, 0 where they are not known
    :ivar height: stored pixels, 0 where they are not known
    """

    identity: str
    line: bytes
    etag: str = ""
    size_bytes: int = 0
    width: int = 0
    height: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TheirEntry:
    """An entry of the dataset.

    :ivar line: as it may be sent again, apart from what the service added
    :ivar is_present: whether the dataset holds it now; False for one of an export that the dataset lost since
    """

    identity: str
    line: bytes
    is_present: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseImage:
    """An image of the snapshot that was last registered.

    :ivar line: what was sent, or is held; None where there is none
    :ivar aside: a person's entry that the dataset does not hold any more, kept in the snapshot's ledger
    """

    identity: str
    line: bytes | None = None
    etag: str = ""
    size_bytes: int = 0
    aside: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MergePolicy:
    """What a refresh may do.

    :ivar human_edits: ``keep`` lets a person's work win over the source, ``overwrite`` the source
    :ivar removals: ``replace`` removes entries, which means to delete the dataset and create it again; ``hold`` leaves
        them until somebody does
    :ivar scope: ``s3://`` address below which every image is this import's, so that it may remove it
    :ivar removes_base: without a scope, whether the base's images are this import's
    """

    human_edits: Literal["keep", "overwrite"] = "keep"
    removals: Literal["replace", "hold"] = "replace"
    scope: str | None = None
    removes_base: bool = False

    def removes(self, identity: str, base: BaseImage | None) -> bool:
        """Whether this import brought the image, so that it may remove it."""
        if self.scope is not None:
            return identity.startswith(self.scope)
        return self.removes_base and base is not None and base.line is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedImage:
    """What becomes of an image.

    :ivar source_ref: of the entry concerned
    :ivar line: what the dataset holds afterwards, without a line end; None where it holds nothing
    :ivar is_present: whether the dataset holds an entry of this source-ref now
    :ivar is_sent: whether `line` has to be sent
    :ivar is_labelled: whether `line` has a label or a box
    :ivar aside: a person's entry that is not in the dataset afterwards
    :ivar detail: what a person should know about it
    :ivar etag: of the image, or of the one that is gone where it is known
    """

    identity: str
    source_ref: str
    outcome: Outcome
    line: bytes | None
    is_present: bool
    is_sent: bool = False
    is_labelled: bool = False
    aside: bytes | None = None
    detail: str = ""
    etag: str = ""
    size_bytes: int = 0

    @property
    def is_removal(self) -> bool:
        """Whether the dataset has to be replaced for this."""
        return self.is_present and self.line is None


def merge(
    ours: Iterable[OurImage],
    theirs: Iterable[TheirEntry],
    base: Iterable[BaseImage],
    pending: Sequence[Iterable[BaseImage]],
    policy: MergePolicy,
) -> Iterator[MergedImage]:
    """Merge four kinds of streams, each sorted by identity.

    :param pending: manifests that runs which did not end may have sent since base was registered
    """
    streams: list[Iterable[_Version]] = [ours, theirs, base, *pending]
    for identity, versions in groupby(merge_sorted(*streams, key=_identity), key=_identity):
        image = _Image(identity)
        for version in versions:
            image.add(version)
        yield from image.merged(policy)


_Version = OurImage | TheirEntry | BaseImage
_identity: Callable[[_Version], str] = attrgetter("identity")


@dataclass(slots=True)
class _Image:
    """All that is known of one image."""

    identity: str
    ours: OurImage | None = None
    theirs: list[TheirEntry] = field(default_factory=list)
    base: BaseImage | None = None
    sent: list[bytes] = field(default_factory=list)

    def add(self, version: _Version) -> None:
        match version:
            case OurImage():
                self.ours = version
            case TheirEntry():
                self.theirs.append(version)
            case BaseImage():
                # The registered snapshot's stream comes first.
                self.base = self.base or version
                if version.line is not None:
                    self.sent.append(version.line)

    def merged(self, policy: MergePolicy) -> Iterator[MergedImage]:
        if self.ours is None:
            yield from self._gone(policy)
            return
        ours_ref, ours = read_entry(self.ours.line)
        stale = [entry for entry in self.theirs if read_entry(entry.line)[0] != ours_ref]
        found = next((entry for entry in self.theirs if entry not in stale), None)
        present = found is not None and found.is_present
        # Without an entry at its place, the work that was done elsewhere or kept aside is about this image.
        candidates = [entry.line for entry in stale]
        if self.base is not None and self.base.aside is not None:
            candidates.append(self.base.aside)
        line = found.line if found else next((each for each in candidates if self._is_edit(each, ours)), None)
        yield self._with(self.ours, ours_ref, ours, line, present, policy)
        for entry in stale:
            keep = policy.removals == "hold"
            if entry.is_present:
                yield self._entry(entry, Outcome.STALE, keep=keep, detail=f"the image is at {ours_ref} now")

    def _gone(self, policy: MergePolicy) -> Iterator[MergedImage]:
        """Entries of an image that the source does not have."""
        if not self.theirs and self.base is not None and self.base.aside is not None:
            source_ref, _ = read_entry(self.base.aside)
            yield MergedImage(
                identity=self.identity,
                source_ref=source_ref,
                outcome=Outcome.REMOVED,
                line=None,
                is_present=False,
                aside=self.base.aside,
                etag=self.base.etag,
                size_bytes=self.base.size_bytes,
            )
        for entry in self.theirs:
            if not policy.removes(self.identity, self.base):
                yield self._entry(entry, Outcome.OTHER, keep=True)
            elif policy.removals == "hold" and entry.is_present:
                yield self._entry(entry, Outcome.HELD, keep=True)
            else:
                yield self._entry(entry, Outcome.REMOVED, keep=False)

    def _entry(self, entry: TheirEntry, outcome: Outcome, *, keep: bool, detail: str = "") -> MergedImage:
        source_ref, theirs = read_entry(entry.line)
        is_work = theirs.is_labelled and not self._was_sent(theirs)
        return MergedImage(
            identity=self.identity,
            source_ref=source_ref,
            outcome=outcome,
            line=entry.line if keep else None,
            is_present=entry.is_present,
            is_sent=keep and not entry.is_present,
            is_labelled=keep and theirs.is_labelled,
            aside=entry.line if is_work and outcome is Outcome.REMOVED else None,
            detail=detail,
            etag=self.base.etag if self.base else "",
            size_bytes=self.base.size_bytes if self.base else 0,
        )

    def _with(
        self, image: OurImage, source_ref: str, ours: Entry, line: bytes | None, present: bool, policy: MergePolicy
    ) -> MergedImage:
        """The image's own entry, where the dataset or what was kept aside has this one."""
        if line is None:
            return self._our(image, source_ref, ours, Outcome.NEW, present=False)
        _, theirs = read_entry(line)
        same = theirs.content == ours.content
        if same and (not theirs.errors or _is_faulty(image.line)):
            # Sending a line again with the errors that it has by itself mends nothing.
            return self._our(image, source_ref, ours, Outcome.SAME, present=present)
        if same or self._was_sent(theirs):
            return self._our(image, source_ref, ours, Outcome.CHANGED, present=present)
        if policy.human_edits == "overwrite":
            detail = f"the dataset had {describe(line)}"
            return self._our(image, source_ref, ours, Outcome.OVERWRITTEN, present=present, aside=line, detail=detail)
        misfit = self._misfit(image, line)
        if misfit:
            keep = present and policy.removals == "hold"
            return MergedImage(
                identity=self.identity,
                source_ref=source_ref,
                outcome=Outcome.MISFIT,
                line=line if keep else None,
                is_present=present,
                is_labelled=keep,
                aside=line,
                detail=misfit,
            )
        return MergedImage(
            identity=self.identity,
            source_ref=source_ref,
            outcome=Outcome.KEPT,
            line=_at(line, source_ref),
            is_present=present,
            is_sent=not present,
            is_labelled=theirs.is_labelled,
            detail=f"the source says {describe(image.line)}",
        )

    def _our(
        self,
        image: OurImage,
        source_ref: str,
        ours: Entry,
        outcome: Outcome,
        *,
        present: bool,
        aside: bytes | None = None,
        detail: str = "",
    ) -> MergedImage:
        return MergedImage(
            identity=self.identity,
            source_ref=source_ref,
            outcome=outcome,
            line=image.line.rstrip(b"\n"),
            is_present=present,
            is_sent=outcome is not Outcome.SAME or not present,
            is_labelled=ours.is_labelled,
            aside=aside,
            detail=detail,
        )

    def _is_edit(self, line: bytes, ours: Entry) -> bool:
        _, theirs = read_entry(line)
        return theirs.content != ours.content and not self._was_sent(theirs)

    def _was_sent(self, theirs: Entry) -> bool:
        return any(read_entry(line)[1].content == theirs.content for line in self.sent)

    def _misfit(self, image: OurImage, line: bytes) -> str:
        """Why a person's boxes do not fit the image; empty where they do, or were drawn on these bytes."""
        base = self.base
        # What was kept aside once was drawn on other bytes than those of the base.
        is_drawn_on_these = base is None or (
            base.aside is None and (base.etag, base.size_bytes) == (image.etag, image.size_bytes)
        )
        if is_drawn_on_these or not image.width:
            return ""
        for width, height in _box_sizes(line):
            if (width, height) != (image.width, image.height):
                return f"boxes were drawn on {width}×{height} pixels, and the image has {image.width}×{image.height}"
        return ""


def describe(line: bytes) -> str:
    """What a line says, for people: its labels, and how many boxes."""
    try:
        parsed = parse_line(line)
    except ManifestError:
        return "an entry of another kind"
    labels = sorted({label.metadata.class_name for label in parsed.labels})
    boxes = sum(len(each.boxes.annotations) for each in parsed.boxes)
    said = [repr(label) for label in labels] + ([f"{boxes} boxes" if boxes > 1 else "1 box"] if boxes else [])
    return ", ".join(said) or "no label"


def _is_faulty(line: bytes) -> bool:
    return any(problem.code.severity == "error" for problem in check_line(line).problems)


def _box_sizes(line: bytes) -> list[tuple[int, int]]:
    try:
        parsed = parse_line(line)
    except ManifestError:
        return []
    return [
        (size.width, size.height) for each in parsed.boxes if each.boxes.annotations for size in each.boxes.image_size
    ]


def _at(line: bytes, source_ref: str) -> bytes:
    """The same line about the image at another place."""
    members: dict[str, Any] = msgspec.json.decode(line)
    if members.get(SOURCE_REF) == source_ref:
        return line
    return msgspec.json.encode(members | {SOURCE_REF: source_ref})
