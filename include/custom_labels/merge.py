"""The three-way merge of a refresh: what the dataset holds afterwards, image by image.

Compared are *ours*, the line just built from the source; *theirs*, the dataset's entry now, in which people may have
labelled, relabelled and drawn boxes; and *base*, what this import's last registered snapshot knows of the image. One
rule says whose an entry is, in whichever state its image is: it is ours when it says what this import last sent for
the image, or what an unfinished run of it may have sent. Everything else is *work*: a person's, or another import's.

==============================  =======================  =========================================================
ours                            theirs                   outcome
==============================  =======================  =========================================================
a line                          none                     NEW
a line                          says the same            SAME
a line                          ours                     CHANGED: the source changed
a line                          work                     KEPT; with ``human_edits: overwrite`` OVERWRITTEN
a line, other bytes             boxes that people drew   MISFIT: the image is quarantined, the boxes are kept aside
                                and that do not fit
none, the image is at fault     any                      WITHHELD: it stays, since its image is not gone
none, the image is gone         brought by this import   REMOVED; with ``removals: hold`` HELD
none                            anything else            OTHER: it stays
none, nobody has the image      lost, of another import  LEFT: for that import to tell of, or to bring back
==============================  =======================  =========================================================

Work follows the picture: an image that is gone from one key and found at another (`include.custom_labels.moves`) is
one image here, under its new identity. Its old entry is STALE, and work in it goes to the new place. Work on an image
that the dataset does not hold any more is kept aside in the ledger (ASIDE once the image was removed by an earlier
run), and comes back with the image if it fits. What a person says of the image in the meantime is later, and the
earlier entry gives way to it. An entry *says the same* when its labels and boxes do
(`include.custom_labels.dataset_entries.read_entry`); an entry without labels is work like any other, since somebody
may have removed them.

All streams are sorted by identity, and one image at a time is in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from heapq import merge as merge_sorted
from itertools import groupby
from operator import attrgetter
from typing import Any, Final, Literal

import msgspec

from include.custom_labels.dataset_entries import Entry, read_entry
from include.custom_labels.errors import ManifestError
from include.custom_labels.history import identity
from include.custom_labels.label_attributes import SOURCE_REF
from include.custom_labels.ledger import content_of
from include.custom_labels.line_rules import check_line
from include.custom_labels.manifest import parse_line

ENTRY_STAYS: Final = "the dataset's entry stays as it is"
"""The detail of a withheld image whose entry the dataset holds."""


class Outcome(StrEnum):
    """What a refresh does with an image's entry."""

    NEW = "new"
    SAME = "same"
    CHANGED = "changed"
    KEPT = "kept"
    OVERWRITTEN = "overwritten"
    MISFIT = "misfit"
    WITHHELD = "withheld"
    REMOVED = "removed"
    ASIDE = "aside"
    HELD = "held"
    OTHER = "other"
    LEFT = "left"
    STALE = "stale"


@dataclass(frozen=True, slots=True, kw_only=True)
class OurImage:
    """An image that the source has.

    :ivar line: with or without its line end; None where the image is at fault, so that nothing is sent for it
    :ivar width: stored pixels, 0 where they are not known
    :ivar height: stored pixels, 0 where they are not known
    :ivar is_carried: the import did not bring the image, and leaves its entry as it is
    """

    identity: str
    line: bytes | None
    etag: str = ""
    size_bytes: int = 0
    width: int = 0
    height: int = 0
    is_carried: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TheirEntry:
    """An entry of the dataset.

    :ivar identity: of the image as the source has it now, which may have moved
    :ivar line: as it may be sent again, apart from what the service added
    :ivar is_present: whether the dataset holds it now; False for one of an export that the dataset lost since
    :ivar has_image: False for one of these whose image does not exist, so that the entry cannot be sent
    """

    identity: str
    line: bytes
    is_present: bool = True
    has_image: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseImage:
    """What the last registered snapshot of this import knows of an image, or what an unfinished run may have done.

    :ivar sent: digest of what was last sent for it; None where nothing was
    :ivar was_at_source: whether the source had the image, so that this import may remove it
    :ivar work: a person's entry that the ledger remembers
    :ivar is_aside: whether the dataset did not hold that entry any more
    :ivar was_taken: whether the image was imported with these bytes, so that people saw them in the dataset
    :ivar has_stayed: whether the dataset held its entry although the source had nothing to send for it
    :ivar drawn_on: content of the image that the boxes of `work` were drawn on; empty where that is not known
    """

    identity: str
    sent: bytes | None = None
    was_at_source: bool = True
    etag: str = ""
    size_bytes: int = 0
    work: bytes | None = None
    is_aside: bool = False
    was_taken: bool = True
    has_stayed: bool = False
    drawn_on: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingDigest:
    """What an unfinished run may have sent for an image.

    :ivar content: digest
    :ivar overwrites: a person's entries that gave way to it
    """

    identity: str
    content: bytes
    overwrites: Sequence[bytes] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherImport:
    """An image that another import has brought to the same dataset.

    :ivar sent: digest of what that import has last sent for it; None where others had said it already
    """

    identity: str
    sent: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MergePolicy:
    """What a refresh may do.

    :ivar human_edits: ``keep`` lets a person's work win over the source, ``overwrite`` the source
    :ivar removals: ``replace`` removes entries, which means to delete the dataset and create it again; ``hold`` leaves
        them until somebody does
    :ivar is_creation: the dataset has no entry, so that it was deleted if the base knows of one
    :ivar only_adds: whether images that the source does not have stay all the same, as for uploads
    """

    human_edits: Literal["keep", "overwrite"] = "keep"
    removals: Literal["replace", "hold"] = "replace"
    is_creation: bool = False
    only_adds: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedImage:
    """What becomes of an image.

    :ivar source_ref: of the entry concerned
    :ivar line: what the dataset holds afterwards, without a line end; None where it holds nothing
    :ivar before: the dataset's entry of this source-ref now; None where it holds none
    :ivar was_held: whether a dataset that was deleted since held the image
    :ivar is_sent: whether `line` has to be sent
    :ivar is_labelled: whether `line` has a label or a box
    :ivar sent: digest of what this import has sent last for the image once all of this is done; None for nothing
    :ivar work: a person's entry: the one that is kept, or one that is not in the dataset afterwards; of an image that
        is LEFT, the entry whoever made it
    :ivar detail: what a person should know about it
    :ivar etag: of the image, or of the one that is gone where it is known
    :ivar is_on_new_bytes: whether boxes stay that people drew on other bytes of the image, and nobody was told
    :ivar drawn_on: content of the image that the boxes of `work` were drawn on; empty where that is not known
    :ivar gave_way: people's earlier entries that neither the dataset nor the ledger has afterwards
    """

    identity: str
    source_ref: str
    outcome: Outcome
    line: bytes | None
    before: bytes | None = None
    was_held: bool = False
    is_sent: bool = False
    is_labelled: bool = False
    sent: bytes | None = None
    work: bytes | None = None
    detail: str = ""
    etag: str = ""
    size_bytes: int = 0
    is_on_new_bytes: bool = False
    drawn_on: str = ""
    gave_way: Sequence[bytes] = ()

    @property
    def is_removal(self) -> bool:
        """Whether the dataset has to be replaced for this."""
        return self.before is not None and self.line is None

    @property
    def is_loss(self) -> bool:
        """Whether the dataset loses the image; a stale entry is another place of an image that stays."""
        return (self.is_removal or (self.was_held and self.line is None)) and self.outcome not in _NO_LOSS


_NO_LOSS: Final = frozenset({Outcome.LEFT, Outcome.STALE})
# Outcomes that give the image no row in the ledger.
_UNTOLD: Final = frozenset({Outcome.OTHER, Outcome.LEFT, Outcome.STALE})

Version = OurImage | TheirEntry | BaseImage | PendingDigest | OtherImport
identity_of: Callable[[Version], str] = attrgetter("identity")


def merge(streams: Sequence[Iterable[Version]], policy: MergePolicy) -> Iterator[MergedImage]:
    """Merge what is known of images, from streams that are each sorted by identity.

    :param streams: the source's images, the dataset's entries, the base, what unfinished runs may have sent, and the
        images of other imports, in any order
    """
    for name, versions in groupby(merge_sorted(*streams, key=identity_of), key=identity_of):
        image = _Image(name)
        for version in versions:
            image.add(version)
        yield from image.merged(policy)


def works(streams: Sequence[Iterable[Version]]) -> Iterator[tuple[str, bytes]]:
    """The work in a dataset, or remembered of it: images and the entries that a person made of them.

    :param streams: the dataset's entries, its base, and what unfinished runs may have sent, each sorted by identity
    """
    for name, versions in groupby(merge_sorted(*streams, key=identity_of), key=identity_of):
        image = _Image(name)
        for version in versions:
            image.add(version)
        if (work := image.work()) is not None:
            yield name, work


@dataclass(slots=True)
class _Image:
    """All that is known of one image."""

    identity: str
    ours: OurImage | None = None
    theirs: list[TheirEntry] = field(default_factory=list)
    base: BaseImage | None = None
    sent: set[bytes] = field(default_factory=set)
    sent_by_others: set[bytes] = field(default_factory=set)
    is_brought_by_others: bool = False
    overwritten: list[bytes] = field(default_factory=list)

    def add(self, version: Version) -> None:
        match version:
            case OurImage():
                self.ours = version
            case TheirEntry():
                self.theirs.append(version)
            case BaseImage():
                self.base = version
                if version.sent is not None:
                    self.sent.add(version.sent)
            case PendingDigest():
                self.sent.add(version.content)
                self.overwritten += version.overwrites
            case OtherImport():
                self.is_brought_by_others = True
                if version.sent is not None:
                    self.sent_by_others.add(version.sent)

    def merged(self, policy: MergePolicy) -> Iterator[MergedImage]:
        if self.ours is None:
            outcomes = self._gone(policy)
        elif self.ours.line is None:
            outcomes = self._withheld(policy)
        else:
            outcomes = self._there(self.ours, self.ours.line, policy)
        earlier = [*self._kept_aside(), *self.overwritten]
        return map(self._with_content, self._told(list(outcomes), earlier) if earlier else outcomes)

    def _kept_aside(self) -> Iterator[bytes]:
        """A person's entry that the base keeps aside."""
        work = self.base.work if self.base and self.base.is_aside else None
        if work is not None and self._is_work(read_entry(work)[1]):
            yield work

    def _told(self, outcomes: list[MergedImage], earlier: Sequence[bytes]) -> Iterator[MergedImage]:
        """The same, with people's earlier entries that nothing tells of.

        :param earlier: the one that was kept aside, and those that a run overwrote which did not come to tell of it;
            the last one is the latest
        """
        contents = {read_entry(line)[1].content for each in outcomes for line in (each.line, each.work) if line}
        untold = {content: work for work in earlier if (content := read_entry(work)[1].content) not in contents}
        own = next((each for each in outcomes if each.identity == self.identity and each.outcome not in _UNTOLD), None)
        for each in outcomes:
            yield self._with_earlier(each, list(untold.values())) if untold and each is own else each
        if untold and own is None:
            *_, last = untold.values()
            memory = self._memory(last, Outcome.ASIDE if self.ours is None else Outcome.WITHHELD)
            yield replace(memory, gave_way=self._gave_way(list(untold.values())))

    def _with_earlier(self, image: MergedImage, untold: Sequence[bytes]) -> MergedImage:
        """The same where the image has a row in the ledger, which has room for one entry."""
        last = untold[-1]
        stays_by_itself = image.outcome is Outcome.WITHHELD and image.work and self._is_of_others(image.work)
        if image.work is not None and not stays_by_itself:
            # Of what people say, the latest counts.
            told = f"earlier, it had {describe(last)}: see entries.manifest"
            return replace(image, gave_way=untold, detail="; ".join(filter(None, [image.detail, told])))
        if image.outcome in (Outcome.NEW, Outcome.SAME, Outcome.CHANGED):
            return replace(
                image,
                outcome=Outcome.OVERWRITTEN,
                work=last,
                detail=f"the dataset had {describe(last)}",
                gave_way=untold[:-1],
            )
        if image.outcome is Outcome.HELD:
            # Later ledgers have the entry that is held.
            return replace(image, work=last, gave_way=untold)
        # The entry that stays in the dataset is not the one in the row.
        detail = "" if image.outcome is Outcome.WITHHELD else image.detail
        return replace(image, work=last, detail=detail, gave_way=self._gave_way(untold))

    def _gave_way(self, untold: Sequence[bytes]) -> list[bytes]:
        """What has given way where the last one is kept aside from now on; what a run overwrote, in any case."""
        return [work for work in untold if work is not untold[-1] or work in self.overwritten]

    def _is_work(self, entry: Entry) -> bool:
        """Whose an entry is: a person's (or another import's), unless it says what this import sent."""
        return entry.content not in self.sent

    def _sent_before(self, entry: Entry | None) -> bytes | None:
        """What was sent last, as far as the dataset's entry shows it."""
        if entry is not None and entry.content in self.sent:
            return entry.content
        # At whichever place of the image it stands, an entry that was sent is evidence.
        stands = (read_entry(each.line)[1].content for each in self.theirs)
        seen = next((content for content in stands if content in self.sent), None)
        return seen or (self.base.sent if self.base else None)

    def work(self) -> bytes | None:
        """A person's entry of the image, in the dataset or remembered."""
        if not self.theirs:
            return self._remembered()
        return next((entry.line for entry in self.theirs if self._is_work(read_entry(entry.line)[1])), None)

    def _remembered(self) -> bytes | None:
        return self.base.work if self.base else None

    # The source has the image.

    def _there(self, image: OurImage, line: bytes, policy: MergePolicy) -> Iterator[MergedImage]:
        source_ref, ours = read_entry(line)
        found, elsewhere = self._places(source_ref)
        there = self._with(image, line, source_ref, ours, self._taken(found, elsewhere, ours), found, policy)
        told = [there]
        for entry in elsewhere:
            told += self._left(entry, told, policy, place=source_ref)
        yield from told

    def _taken(self, found: TheirEntry | None, elsewhere: list[TheirEntry], ours: Entry) -> bytes | None:
        """What counts as the image's entry: the one at its place, or work that was done before it was there."""
        is_aside = self.base is not None and self.base.is_aside
        earlier = [entry.line for entry in elsewhere if found is None or self._is_moved(entry)]
        if (remembered := self._remembered()) is not None and (found is None or is_aside):
            earlier.append(remembered)
        if found is not None and self._is_edit(found.line, ours) and not (earlier and self._is_of_others(found.line)):
            return found.line
        return next((each for each in earlier if self._is_edit(each, ours)), found.line if found else None)

    def _is_of_others(self, line: bytes) -> bool:
        """Whether another import has sent the entry, so that no person has said what it says."""
        return read_entry(line)[1].content in self.sent_by_others

    def _is_moved(self, entry: TheirEntry) -> bool:
        return identity(read_entry(entry.line)[0]) != self.identity

    def _places(self, source_ref: str) -> tuple[TheirEntry | None, list[TheirEntry]]:
        """The entry at a place of the image, and those at its other ones."""
        elsewhere = [entry for entry in self.theirs if read_entry(entry.line)[0] != source_ref]
        return next((entry for entry in self.theirs if entry not in elsewhere), None), elsewhere

    def _left(
        self,
        entry: TheirEntry,
        told: Sequence[MergedImage],
        policy: MergePolicy,
        *,
        place: str = "",
        is_withheld: bool = False,
    ) -> Iterator[MergedImage]:
        """An entry at a place where the image was before.

        :param told: what becomes of the image itself, and of other such entries
        :param place: where it is now; empty where it is gone
        """
        source_ref, theirs = read_entry(entry.line)
        before = identity(source_ref)
        is_moved = self._is_moved(entry)
        is_told_of = any(each.identity == before for each in told)
        is_said = any(
            theirs.content == read_entry(line)[1].content
            for each in told
            for line in (each.line, each.work)
            if line is not None
        )
        work = entry.line if self._is_work(theirs) and not is_said else None
        if not entry.is_present and work is None and not (is_moved and self.is_brought_by_others):
            return
        if is_moved and self.is_brought_by_others:
            outcome, keep = (Outcome.OTHER, True) if entry.has_image else (Outcome.LEFT, False)
        elif (is_withheld or policy.removals == "hold") and entry.is_present:
            outcome, keep = (Outcome.STALE if is_told_of else Outcome.HELD), True
        else:
            outcome, keep = (Outcome.STALE if work is None else Outcome.REMOVED), False
        yield MergedImage(
            # A ledger has one row for a key: other work at another place of one image is told there.
            identity=source_ref if is_told_of and outcome is Outcome.REMOVED else before,
            source_ref=source_ref,
            outcome=outcome,
            line=entry.line if keep else None,
            before=entry.line if entry.is_present else None,
            was_held=not entry.is_present,
            is_sent=keep and not entry.is_present,
            is_labelled=keep and theirs.is_labelled,
            sent=self._sent_before(theirs) if is_moved else None,
            work=None if outcome is Outcome.OTHER else entry.line if outcome is Outcome.LEFT else work,
            detail=f"the image is at {place} now" if place else "",
            etag=self.base.etag if self.base else "",
            size_bytes=self.base.size_bytes if self.base else 0,
        )

    def _with(
        self,
        image: OurImage,
        line: bytes,
        source_ref: str,
        ours: Entry,
        taken: bytes | None,
        found: TheirEntry | None,
        policy: MergePolicy,
    ) -> MergedImage:
        """The image's own entry, where the dataset or what is remembered has `taken`."""
        before = found.line if found and found.is_present else None
        if taken is None:
            return self._our(image, line, source_ref, ours, Outcome.NEW, before=None)
        _, theirs = read_entry(taken)
        same = theirs.content == ours.content
        if same and (not theirs.errors or _is_faulty(line)):
            # Sending a line again with the errors that it has by itself repairs nothing.
            return self._our(image, line, source_ref, ours, Outcome.SAME, before=before, theirs=theirs)
        # What another import sent without a label is no one's statement about the image, as long as this one has sent
        # nothing: afterwards, a person has removed the label.
        has_sent = self.base is not None and self.base.sent is not None
        is_sent_blank = not theirs.is_labelled and theirs.content in self.sent_by_others
        is_blank = ours.is_labelled and is_sent_blank and not has_sent
        if same or is_blank or not self._is_work(theirs):
            if image.is_carried:
                entry = _at(taken, source_ref)
                return self._our(image, entry, source_ref, theirs, Outcome.SAME, before=before, theirs=theirs)
            return self._our(image, line, source_ref, ours, Outcome.CHANGED, before=before)
        if policy.human_edits == "overwrite" and not image.is_carried:
            detail = f"the dataset had {describe(taken)}"
            return self._our(
                image, line, source_ref, ours, Outcome.OVERWRITTEN, before=before, work=taken, detail=detail
            )
        misfit = self._misfit(image, taken)
        if misfit:
            keep = before is not None and policy.removals == "hold"
            return MergedImage(
                identity=self.identity,
                source_ref=source_ref,
                outcome=Outcome.MISFIT,
                line=before if keep else None,
                before=before,
                was_held=before is None and (found is not None or not (self.base and self.base.is_aside)),
                is_labelled=keep,
                sent=self._sent_before(theirs),
                work=taken,
                detail=misfit,
                etag=image.etag,
                size_bytes=image.size_bytes,
            )
        is_moved = read_entry(taken)[0] != source_ref
        moved = f"; moved here from {read_entry(taken)[0]}" if is_moved else ""
        return MergedImage(
            identity=self.identity,
            source_ref=source_ref,
            outcome=Outcome.KEPT,
            line=_at(taken, source_ref),
            before=before,
            is_sent=before is None or found is None or taken is not found.line,
            is_labelled=theirs.is_labelled,
            sent=self._sent_before(theirs),
            work=_at(taken, source_ref),
            detail=f"the source says {describe(line)}{moved}",
            etag=image.etag,
            size_bytes=image.size_bytes,
        )

    def _our(
        self,
        image: OurImage,
        line: bytes,
        source_ref: str,
        ours: Entry,
        outcome: Outcome,
        *,
        before: bytes | None,
        theirs: Entry | None = None,
        work: bytes | None = None,
        detail: str = "",
    ) -> MergedImage:
        # An entry that says the same by itself was not sent, and stays whose it is.
        sent = self._sent_before(theirs) if outcome is Outcome.SAME else ours.content
        return MergedImage(
            identity=self.identity,
            source_ref=source_ref,
            outcome=outcome,
            line=line.rstrip(b"\n"),
            before=before,
            is_sent=before is None or outcome is not Outcome.SAME,
            is_labelled=ours.is_labelled,
            sent=sent,
            work=work,
            detail=detail,
            etag=image.etag,
            size_bytes=image.size_bytes,
        )

    def _is_edit(self, line: bytes, ours: Entry) -> bool:
        _, theirs = read_entry(line)
        return theirs.content != ours.content and self._is_work(theirs)

    def _with_content(self, image: MergedImage) -> MergedImage:
        """The same with what people drew their boxes on, and whether the dataset has other bytes under them now."""
        if image.work is None or not _box_sizes(image.work):
            return image
        drawn_on, now = self._drawn_on(image.work), content_of(image.etag, image.size_bytes)
        base = self.base
        is_told = base is not None and base.was_taken and content_of(base.etag, base.size_bytes) == now
        is_new = image.outcome is Outcome.KEPT and drawn_on not in ("", now) and not is_told
        return replace(image, drawn_on=drawn_on, is_on_new_bytes=is_new)

    def _drawn_on(self, work: bytes) -> str:
        """The content of the image that a person has drawn boxes on, as far as it is known."""
        base, ours = self.base, self.ours
        is_imported = ours is not None and ours.line is not None
        now = content_of(ours.etag, ours.size_bytes) if ours is not None and is_imported else ""
        if base is None:
            return now
        is_known = base.work is not None and read_entry(base.work)[1].content == read_entry(work)[1].content
        if is_known and (base.drawn_on or not base.was_taken):
            return base.drawn_on
        # Boxes that are new were drawn on what people saw last.
        return content_of(base.etag, base.size_bytes) if base.was_taken or ours is None else now

    def _misfit(self, image: OurImage, line: bytes) -> str:
        """Why a person's boxes do not fit the image; empty where they do, or were drawn on these bytes."""
        if not image.width or self._drawn_on(line) == content_of(image.etag, image.size_bytes):
            return ""
        for width, height in _box_sizes(line):
            if (width, height) != (image.width, image.height):
                return f"boxes were drawn on {width}×{height} pixels, and the image has {image.width}×{image.height}"
        return ""

    # The source has no line for the image.

    def _withheld(self, policy: MergePolicy) -> Iterator[MergedImage]:
        """The image is there, and nothing can be sent for it: what the dataset has stays."""
        yield from self._without_line(Outcome.WITHHELD, policy, keep=True, detail=ENTRY_STAYS)

    def _gone(self, policy: MergePolicy) -> Iterator[MergedImage]:
        if self.theirs and (policy.only_adds or not self._may_remove()) and not self._may_tell():
            for entry in self.theirs:
                yield self._entry(entry, Outcome.OTHER if entry.has_image else Outcome.LEFT, keep=entry.has_image)
        else:
            keep = policy.removals == "hold" and any(entry.is_present for entry in self.theirs)
            yield from self._without_line(Outcome.HELD if keep else Outcome.REMOVED, policy, keep=keep)

    def _without_line(
        self, outcome: Outcome, policy: MergePolicy, *, keep: bool, detail: str = ""
    ) -> Iterator[MergedImage]:
        is_withheld = outcome is Outcome.WITHHELD
        own = [entry for entry in self.theirs if identity(read_entry(entry.line)[0]) == self.identity]
        # The row of the image itself has the work on it, so that it comes back with the image.
        first = min(own, key=self._precedence, default=None)
        told: list[MergedImage] = []
        if first is not None and is_withheld and not first.is_present:
            # Rekognition takes no entry of an image at fault: a person's is kept aside until it can be sent.
            told.append(self._entry(first, outcome, keep=False))
        elif first is not None:
            told.append(self._entry(first, outcome, keep=keep, detail=detail))
        elif not self.theirs and not is_withheld and policy.is_creation and self._was_lost():
            told.append(replace(self._memory(self._remembered(), Outcome.REMOVED), was_held=True))
        elif not self.theirs and (remembered := self._remembered()) is not None:
            told.append(self._memory(remembered, Outcome.WITHHELD if is_withheld else Outcome.ASIDE))
        for entry in self.theirs:
            if entry is not first:
                place = self.identity if is_withheld else ""
                # Without an entry of its own, what the image had where it was is all that there is of it.
                stays = is_withheld and (first is None or not self._is_moved(entry))
                told += self._left(entry, told, policy, place=place, is_withheld=stays)
        yield from told

    def _precedence(self, entry: TheirEntry) -> tuple[bool, bool]:
        source_ref, theirs = read_entry(entry.line)
        return not self._is_work(theirs), source_ref != self.identity

    def _may_remove(self) -> bool:
        """An import removes only what it brought, and what no other import has brought as well."""
        was_brought = bool(self.sent) or (self.base is not None and self.base.was_at_source)
        return was_brought and not self.is_brought_by_others

    def _may_tell(self) -> bool:
        """Of what is lost with its image, any import that knows of it may tell: nothing is removed by that."""
        is_known = bool(self.sent) or self.base is not None
        return is_known and not any(entry.has_image for entry in self.theirs)

    def _was_lost(self) -> bool:
        """Whether the dataset that is created anew held the image, which is gone by now."""
        base = self.base
        if base is None or base.is_aside:
            return False
        return (base.was_taken or base.has_stayed or base.work is not None) and self._may_remove()

    def _memory(self, work: bytes | None, outcome: Outcome) -> MergedImage:
        """An image that the dataset does not hold, and a person's entry of it that is remembered."""
        base = self.base
        return MergedImage(
            identity=self.identity,
            source_ref=read_entry(work)[0] if work is not None else self.identity,
            outcome=outcome,
            line=None,
            sent=base.sent if base else None,
            work=work,
            etag=base.etag if base else "",
            size_bytes=base.size_bytes if base else 0,
        )

    def _entry(self, entry: TheirEntry, outcome: Outcome, *, keep: bool, detail: str = "") -> MergedImage:
        source_ref, theirs = read_entry(entry.line)
        is_told = outcome is Outcome.LEFT or (outcome is not Outcome.OTHER and self._is_work(theirs))
        return MergedImage(
            identity=self.identity,
            source_ref=source_ref,
            outcome=outcome,
            line=entry.line if keep else None,
            before=entry.line if entry.is_present else None,
            was_held=not entry.is_present and outcome is not Outcome.WITHHELD,
            is_sent=keep and not entry.is_present,
            is_labelled=keep and theirs.is_labelled,
            sent=self._sent_before(theirs),
            work=entry.line if is_told else None,
            detail=detail,
            etag=self.base.etag if self.base else "",
            size_bytes=self.base.size_bytes if self.base else 0,
        )


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
