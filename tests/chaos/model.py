"""The truth that histories are judged by: what the bucket holds, what people did, what the dataset has to hold.

Written from docs/refreshes.md and not from the code. Where the rules leave a choice, such as which of two equal images
has moved, several outcomes are *accepted*; what then became of it is taken over from the dataset.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from tests.chaos.commands import DATASET_TYPES, DatasetType
from tests.chaos.contents import Said, says

PERSON = "a person"
EITHER = "a person or an import"
"""A line that a person made and an import has since sent as its own."""

Accepted = frozenset[Said | None]
"""What an entry may say after a run; None for no entry."""

MAX_FAULTY_SHARE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """An object of the bucket.

    :ivar size: width and height; None for what is no image
    :ivar last_modified: UTC as ``YYYY-MM-DDTHH:MM:SS``
    """

    etag: str
    size: tuple[int, int] | None
    last_modified: str = ""


Listing = Mapping[str, Listed]


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """What a run is asked for.

    :ivar origin: what is imported; names a folder of the bucket
    :ivar folder: prefix of its images, with a slash at the end
    :ivar lists_folder: whether all that lies in the folder is the import's, as for an S3 folder; else only images that
        it has brought are
    :ivar only_adds: whether it removes nothing
    :ivar exclude: child folders that are left out
    :ivar as_of: UTC as ``YYYY-MM-DDTHH:MM:SS``
    :ivar is_past: whether it is about the folder as it was at that time
    :ivar is_split: whether it is for both datasets of the project
    :ivar is_grouped: whether images of one folder stay together in a split
    """

    origin: str
    folder: str
    lists_folder: bool = True
    only_adds: bool = False
    human_edits: Literal["keep", "overwrite"] = "keep"
    removals: Literal["replace", "hold"] = "replace"
    aliases: Mapping[str, str] = field(default_factory=dict)
    exclude: frozenset[str] = frozenset()
    automatic_labeling: bool = True
    register: bool = True
    run_type: Literal["manual", "scheduled"] = "manual"
    as_of: str = ""
    is_past: bool = False
    max_wait_minutes: int = 60
    is_split: bool = False
    test_share: float = 0.2
    freeze_test: bool = False
    is_grouped: bool = False

    @property
    def dataset_types(self) -> tuple[DatasetType, ...]:
        """The datasets that it is for."""
        return DATASET_TYPES if self.is_split else ("train",)

    def label_folder(self, key: str) -> str:
        """The first folder below the import's; empty where the image lies in none."""
        head, slash, _ = key.removeprefix(self.folder).partition("/")
        return head if slash else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What an import finds.

    :ivar images: what it says of each image
    :ivar newer: what it says of images that were written after its time; it takes those that it knows from before,
        unless it is about the past
    :ivar unsettled: images of which it cannot say anything now, so that their entries stay as they are
    :ivar listed: all objects of its folder
    :ivar elsewhere: images that a split gives to the project's other dataset
    :ivar conflicts: images whose place is taken by other bytes, which nobody overwrites
    :ivar refused: files that are not sent, as the ledger names them
    :ivar brings: numbers of the contents that it writes to the bucket, by key, where they are not there yet
    """

    images: Mapping[str, Said]
    unsettled: Collection[str]
    listed: Listing
    newer: Mapping[str, Said] = field(default_factory=dict)
    elsewhere: Collection[str] = ()
    conflicts: Collection[str] = ()
    refused: Collection[str] = ()
    brings: Mapping[str, int] = field(default_factory=dict)

    def divided(self, here: Collection[str], elsewhere: Collection[str]) -> Source:
        """What of it is for one dataset of a split.

        :param here: images that this dataset gets
        :param elsewhere: those that the other one gets
        """
        known = {**self.images, **self.newer}
        left = {key for key in known if key not in here and key not in elsewhere}
        return replace(
            self,
            images={key: said for key, said in known.items() if key in here},
            # Neither dataset gets what is newer, or belongs to a frozen test image: its entry stays where it is.
            unsettled=({*self.unsettled} - known.keys()) | left,
            newer={key: said for key, said in self.newer.items() if key in left},
            elsewhere=elsewhere,
        )

    def says(self, key: str) -> Said | None:
        """What it says of an image, if it takes it."""
        return self.images.get(key, self.newer.get(key))

    @property
    def is_refused(self) -> bool:
        """Whether a run has to fail: no image, or too many that cannot be read."""
        # Of files that are refused, the share is one of all images of the dataset.
        return not self.images or (self.may_be_refused and not self.refused)

    @property
    def may_be_refused(self) -> bool:
        """Whether a run may fail for what it finds."""
        unreadable = {key for key in self.unsettled if self.listed[key].size is None}
        faulty = len(unreadable | {*self.conflicts}) + len(self.refused)
        return not self.images or faulty > MAX_FAULTY_SHARE * (faulty + len(self.images))


def find_source(asked: Import, bucket: Listing) -> Source:
    """The folder rule: an image's label is the first folder below the import's folder.

    :param bucket: as the import lists it, which may be as it was
    """
    listed = {key: found for key, found in bucket.items() if key.startswith(asked.folder)}
    images: dict[str, Said] = {}
    newer: dict[str, Said] = {}
    unsettled: set[str] = set()
    for key, found in listed.items():
        folder = asked.label_folder(key)
        if folder in asked.exclude:
            continue
        if found.size is None:
            unsettled.add(key)
            continue
        label = asked.aliases.get(folder, folder)
        said = says(label) if folder and asked.automatic_labeling else Said()
        if asked.lists_folder and found.last_modified > asked.as_of:
            unsettled.add(key)
            newer[key] = said
        else:
            images[key] = said
    return Source(images=images, unsettled=unsettled, listed=listed, newer=newer)


def find_copies(asked: Import, originals: Mapping[str, int], known: Listing, bucket: Listing) -> Source:
    """The images of another dataset, which are copied to the import's folder.

    :param originals: numbers of their contents, by the keys of the copies
    :param known: the contents, by these keys
    """
    conflicts = {key for key in originals if key in bucket and bucket[key].etag != known[key].etag}
    listed = {key: bucket[key] if key in conflicts else known[key] for key in originals}
    images = {key: _labelled(asked, key) for key in originals if key not in conflicts and known[key].size is not None}
    unsettled = originals.keys() - images.keys()
    return Source(images=images, unsettled=unsettled, listed=listed, conflicts=conflicts, brings=originals)


def find_files(asked: Import, files: Mapping[str, int], known: Listing, bucket: Listing, place: str) -> Source:
    """The files of a computer, which are sent to the import's folder.

    :param files: numbers of their contents, by the keys that they get
    :param known: the contents, by these keys
    :param place: of the files on the computer, as the ledger names it
    """
    images = {
        key: _labelled(asked, key)
        for key in files
        if known[key].size is not None and (key not in bucket or bucket[key].etag == known[key].etag)
    }
    refused = [place + key.removeprefix(asked.folder) for key in files if key not in images]
    listed = {key: known[key] for key in images}
    brings = {key: files[key] for key in images}
    return Source(images=images, unsettled=(), listed=listed, refused=refused, brings=brings)


def _labelled(asked: Import, key: str) -> Said:
    return says(*filter(None, [asked.label_folder(key)])) if asked.automatic_labeling else Said()


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the dataset.

    :ivar by: `PERSON`, `EITHER`, or the origin whose run sent it
    """

    said: Said
    by: str


@dataclass(slots=True)
class Brought:
    """What one origin's runs have done.

    :ivar contents: ETag of each image that the last green run had in its manifest, or held
    :ivar left: ETag of images that were among these before, which work may be kept aside of
    :ivar sent: what it last sent for an image
    :ivar maybe: what runs that did not end well may have sent since
    """

    contents: dict[str, str] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)
    sent: dict[str, Said] = field(default_factory=dict)
    maybe: dict[str, set[Said]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What a run may leave, by key; what it does not name stays as it is.

    :ivar moved: where a person's work on an image may have come from: keys that the image lay under before
    """

    accepted: Mapping[str, Accepted]
    moved: Mapping[str, Collection[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """People's work on images that a split gives to another dataset than before, by the images' keys now.

    :ivar sure: what has to come with its image
    :ivar maybe: what may
    """

    sure: Mapping[str, Said] = field(default_factory=dict)
    maybe: Mapping[str, Collection[Said]] = field(default_factory=dict)


class Truth:
    """What one dataset has to hold.

    :ivar entries: its entries; between a deletion and the creation that follows, those that have to come back
    :ivar aside: people's work on images that the dataset does not hold any more, by key
    :ivar kept: people's entries that a green run has seen, so that they outlive a deletion of the dataset by hand
    :ivar perhaps: the same of edits while a run was under way, which may have seen them
    :ivar perhaps_aside: of these, the ones that the dataset lost with a deletion by hand
    :ivar deleted: what entries said that a person deleted with the dataset while a run was about to replace it
    :ivar lost: entries that a replacement which has not ended has taken out of the dataset
    :ivar edits: number of people's edits so far
    """

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.aside: dict[str, Said] = {}
        self.kept: dict[str, Said] = {}
        self.perhaps: dict[str, set[Said]] = {}
        self.perhaps_aside: dict[str, set[Said]] = {}
        self.deleted: dict[str, Said] = {}
        self.lost: frozenset[str] = frozenset()
        self.edits = 0
        self._edited: dict[str, int] = {}
        self._origins: dict[str, Brought] = {}

    def brought(self, origin: str) -> Brought:
        return self._origins.setdefault(origin, Brought())

    @property
    def work(self) -> dict[str, Said]:
        """People's work, which must not be lost."""
        return self.aside | {key: entry.said for key, entry in self.entries.items() if entry.by == PERSON}

    # What people do

    def edit(self, key: str, said: Said) -> None:
        """A person's entry, as the dataset holds it afterwards."""
        before = self.entries.get(key)
        if before is None or before.said != said:
            self.entries[key] = Entry(said, PERSON)
            self.edits += 1
            self._edited[key] = self.edits
            # Someone who labels an image again has decided what becomes of what was there.
            self.aside.pop(key, None)
            self.perhaps_aside.pop(key, None)

    def edited_since(self, edits: int) -> dict[str, Said]:
        """People's entries of images that they have edited since there were so many edits."""
        return {key: self.entries[key].said for key, at in self._edited.items() if at > edits and key in self.entries}

    def delete(self, exported: Mapping[str, Said], *, is_raced: bool = False) -> None:
        """A person deletes the dataset.

        :param exported: entries that an unfinished replacement has kept
        :param is_raced: whether a run is under way, whose export may not be named yet
        """
        if is_raced:
            self.deleted = {key: entry.said for key, entry in self.entries.items()}
        for key, entry in list(self.entries.items()):
            if exported.get(key) == entry.said:
                continue
            del self.entries[key]
            if entry.by == PERSON and key in self.perhaps:
                self.perhaps_aside[key] = self.perhaps[key]
            elif entry.by == PERSON and key in self.kept:
                # Of what was said since, no run knows.
                self.aside[key] = self.kept[key]

    # What runs do

    def arriving(self, asked: Import, source: Source, other: Truth) -> Arrivals:
        """The work that images bring which are new here, and which the project's other dataset knows.

        :param source: what the import finds for this dataset
        :param other: of the other dataset, before the import changes either of them
        """
        here, there = self.brought(asked.origin).contents, other.brought(asked.origin).contents
        moved, maybe_moved = other._moves(asked, source)
        sure: dict[str, Said] = {}
        maybe: dict[str, set[Said]] = {}
        for key in source.images:
            if key in self.entries or key in here:
                continue
            places = [key, *filter(None, [moved.get(key)]), *maybe_moved.get(key, ())]
            works = {place: other._work_at(place) for place in places if other._has_work(asked.origin, place)}
            found = {work for work in works.values() if work is not None}
            # Whether it is in the other dataset, or has left it with the image: one that fits, and is nobody else's.
            is_known = key in there if key in other.entries else key in other.brought(asked.origin).left
            is_persons = key not in other.entries or other._whose(asked.origin, key) == PERSON
            is_sure = [*works] == [key] and is_known and is_persons
            if is_sure and not any(_misfits(work, source.listed[key]) for work in found):
                (sure[key],) = found
            elif found:
                maybe[key] = found
        return Arrivals(sure=sure, maybe=maybe)

    def expect(self, asked: Import, source: Source, arriving: Arrivals | None = None) -> Expectation:
        """What a green run leaves.

        :param arriving: work that comes with images of a split from the other dataset
        """
        if not asked.register:
            return Expectation(accepted={}, moved={})
        arriving = arriving or Arrivals()
        sure, maybe = self._moves(asked, source)
        newer = {source.listed[key].etag for key in source.newer}
        accepted: dict[str, Accepted] = {}
        for key, ours in source.images.items():
            if key in self.entries:
                accepted[key] = self._present(asked, source.listed[key], key, ours)
            else:
                image = source.listed[key]
                moved_here = self._work_at(sure[key]) if key in sure else arriving.sure.get(key)
                found = [*filter(None, map(self._work_at, maybe.get(key, ()))), *arriving.maybe.get(key, ())]
                accepted[key] = self._absent(asked, image, key, ours, moved_here, found)
                for said in self.perhaps_aside.get(key, ()):
                    accepted[key] |= {None if _misfits(said, image) else said}
        for key, entry in self.entries.items():
            if key not in source.images:
                accepted[key] = self._gone(asked, source, key, entry)
                if self.brought(asked.origin).contents.get(key) in newer:
                    # It has moved to where the run does not take it from yet, and is not gone.
                    accepted[key] |= {entry.said}
        for key, ours in source.newer.items() if not asked.is_past else ():
            image = source.listed[key]
            if key in self.entries:
                accepted[key] |= self._present(asked, image, key, ours)
            else:
                accepted[key] = self._absent(asked, image, key, ours, None, ()) | {None}
        for key, said in self.deleted.items():
            entry = self.entries.get(key)
            accepted[key] = accepted.get(key, frozenset([entry.said if entry else None])) | {said}
        moved = {key: [sure[key]] if key in sure else maybe.get(key, []) for key in source.images}
        for old in {old for olds in moved.values() for old in olds} & self.entries.keys():
            # In a dataset that is created anew, an entry is at the new place alone, also while others are held.
            accepted[old] |= {None}
        return Expectation(accepted=accepted, moved={key: olds for key, olds in moved.items() if olds})

    def _present(self, asked: Import, image: Listed, key: str, ours: Said) -> Accepted:
        entry = self.entries[key]
        whose = self._whose(asked.origin, key)
        if asked.only_adds:
            return self._added(asked, key, ours, whose)
        if entry.said == ours or whose == asked.origin or asked.human_edits == "overwrite":
            return frozenset([ours])
        stays: Accepted = frozenset([entry.said])
        if _misfits(entry.said, image):
            stays = frozenset([None]) if asked.removals == "replace" else stays
        return stays | {ours} if whose == EITHER else stays

    def _added(self, asked: Import, key: str, ours: Said, whose: str) -> Accepted:
        """An upload gives a label to an image that has none, and takes none away."""
        entry = self.entries[key]
        stays: Accepted = frozenset([entry.said])
        if whose == asked.origin and ours.labels and not entry.said.labels:
            return frozenset([ours])
        is_known = key in self.brought(asked.origin).contents
        if whose == EITHER or asked.human_edits == "overwrite" or (whose == asked.origin and not is_known):
            return stays | {ours}
        return stays

    def _absent(
        self, asked: Import, image: Listed, key: str, ours: Said, moved: Said | None, found: Iterable[Said]
    ) -> Accepted:
        aside = self.aside.get(key)
        if asked.human_edits == "overwrite":
            return frozenset([ours, *filter(None, [aside, moved]), *found])
        if moved:
            return frozenset([moved, aside] if aside else [moved])
        if aside:
            return frozenset([None if _misfits(aside, image) else aside, *found])
        return frozenset([ours, *found])

    def _gone(self, asked: Import, source: Source, key: str, entry: Entry) -> Accepted:
        stays: Accepted = frozenset([entry.said])
        removed: Accepted = frozenset([None])
        if asked.only_adds or key in source.unsettled or (asked.lists_folder and not key.startswith(asked.folder)):
            return stays
        if not asked.lists_folder and key not in self.brought(asked.origin).contents:
            # A run that did not end well may have brought it.
            return stays | removed if entry.by in (asked.origin, EITHER) and asked.removals == "replace" else stays
        if asked.removals == "hold":
            # A dataset that is created anew does not hold what is gone.
            return stays | removed if key in self.lost else stays
        return removed

    def _whose(self, origin: str, key: str) -> str:
        entry, brought = self.entries[key], self.brought(origin)
        if entry.by == PERSON and entry.said in {brought.sent.get(key), *brought.maybe.get(key, ())}:
            return EITHER
        return entry.by

    def _work_at(self, key: str) -> Said | None:
        entry = self.entries.get(key)
        return entry.said if entry is not None else self.aside.get(key)

    def _moves(self, asked: Import, source: Source) -> tuple[dict[str, str], dict[str, list[str]]]:
        """Where new images with people's work have lain: for sure, and possibly.

        It is sure where an image of the last green run is gone from its key and lies under a new one, and no other
        image there was or is has these bytes.
        """
        if asked.only_adds:
            return {}, {}
        brought = self.brought(asked.origin)
        before = {key: etag for key, etag in brought.left.items() if key in self.aside} | brought.contents
        gone: dict[str, list[str]] = {}
        for key, etag in before.items():
            if key not in source.images and key not in source.elsewhere:
                gone.setdefault(etag, []).append(key)
        new: dict[str, list[str]] = {}
        for key in source.images:
            if key not in self.entries:
                new.setdefault(source.listed[key].etag, []).append(key)
        were, are = Counter(before.values()), Counter(found.etag for found in source.listed.values())
        sure: dict[str, str] = {}
        maybe: dict[str, list[str]] = {}
        for etag, olds in gone.items():
            olds = [key for key in olds if self._has_work(asked.origin, key)]
            for key in new.get(etag, []):
                is_sure = len(olds) == 1 and were[etag] == are[etag] == 1 and olds[0] in self.entries
                # What lies under its old key still, damaged or left out, has not moved.
                if is_sure and olds[0] not in source.listed and self._whose(asked.origin, olds[0]) == PERSON:
                    sure[key] = olds[0]
                elif olds:
                    maybe[key] = olds
        return sure, maybe

    def _has_work(self, origin: str, key: str) -> bool:
        return key in self.aside or (key in self.entries and self._whose(origin, key) in (PERSON, EITHER))

    def settle(
        self,
        asked: Import,
        source: Source,
        expected: Expectation,
        actual: Mapping[str, Said],
        *,
        is_new: bool,
        edits: int | None = None,
        left: Collection[str] = (),
    ) -> dict[str, Said]:
        """Take over what a green run has left, once it was found to be accepted.

        :param is_new: whether the dataset was created by the run, so that every line was sent
        :param edits: number of people's edits when the run began; it need not have seen later ones
        :param left: keys of entries that are still for another import to bring back, or to remove
        :returns: people's work that gave way to `human_edits: overwrite`
        """
        if not asked.register:
            return {}
        self.lost = frozenset(left)
        self.deleted.clear()
        before, brought = self.work, self.brought(asked.origin)
        overwritten: dict[str, Said] = {}
        for key in {*self.entries, *expected.accepted}:
            entry, said, ours = self.entries.get(key), actual.get(key), source.says(key)
            if key in left:
                continue
            if said is None:
                if entry is not None and self._whose(asked.origin, key) == PERSON:
                    self.aside[key] = entry.said
                self.entries.pop(key, None)
                continue
            if entry is not None and said == entry.said:
                if is_new and said == ours and entry.by == PERSON:
                    self.entries[key] = Entry(said, EITHER)
            elif said == ours:
                self.entries[key] = Entry(said, asked.origin)
                brought.sent[key] = said
                if key in before and asked.human_edits == "overwrite":
                    overwritten[key] = before[key]
            else:
                self.entries[key] = Entry(said, PERSON)
            self.aside.pop(key, None)
            self.perhaps_aside.pop(key, None)
        self._follow_moves(expected, actual, before)
        if asked.human_edits == "overwrite":
            # Work gives way at an image's new place as at the one where it was done.
            gone = {old for new, olds in expected.moved.items() if actual.get(new) == source.says(new) for old in olds}
            overwritten |= {old: self.aside.pop(old) for old in gone & before.keys() & self.aside.keys()}
        held = {key: etag for key, etag in brought.contents.items() if key in self.entries}
        taken = [*source.images, *(key for key in source.newer if key in actual)]
        last = brought.contents
        brought.contents = held | {key: source.listed[key].etag for key in taken}
        brought.left |= {key: etag for key, etag in last.items() if key not in brought.contents}
        brought.maybe.clear()
        for key in brought.contents:
            known = {*self.perhaps.pop(key, ()), *filter(None, [self.kept.pop(key, None)])}
            entry = self.entries.get(key)
            is_seen = edits is None or self._edited.get(key, 0) <= edits
            # Of an image that could not be read, the ledger has another thing to say.
            if entry is None or entry.by != PERSON or key in source.unsettled:
                continue
            if is_seen and entry.said == source.says(key):
                # A ledger has nothing to say of what the source says as well.
                continue
            if is_seen:
                self.kept[key] = entry.said
            else:
                self.perhaps[key] = known | {entry.said}
        return overwritten

    def _follow_moves(self, expected: Expectation, actual: Mapping[str, Said], work: Mapping[str, Said]) -> None:
        """Work that lies at an image's new place is not missed at the old one."""
        for new, olds in expected.moved.items():
            for old in olds:
                if old in work and actual.get(new) == work[old] and old not in actual:
                    self.aside.pop(old, None)
                    self.entries.pop(old, None)

    def observe(
        self,
        asked: Import,
        source: Source,
        expected: Expectation,
        actual: Mapping[str, Said],
        exported: Mapping[str, Said],
    ) -> None:
        """Take over what a run has left that is still under way, or has not ended well.

        :param exported: entries that the journal names, which have to come back
        """
        if not asked.register:
            return
        self.lost = frozenset(exported.keys() - actual.keys())
        before, brought = self.work, self.brought(asked.origin)
        for key, ours in (*source.images.items(), *source.newer.items()):
            brought.maybe.setdefault(key, set()).add(ours)
        for key in {*self.entries, *expected.accepted}:
            entry, said = self.entries.get(key), actual.get(key)
            if said is None:
                # A person's is looked for elsewhere until it is found to be in the dataset, or aside.
                if entry is not None and entry.by != PERSON and key not in exported:
                    del self.entries[key]
            elif (entry is None or entry.said != said) and said in expected.accepted.get(key, ()):
                self.entries[key] = Entry(said, asked.origin if said == source.says(key) else PERSON)
        self._follow_moves(expected, actual, before)

    def accepts(self, key: str, said: Said | None, expectations: Iterable[Expectation] = ()) -> bool:
        """Whether an entry may say this while runs are under way, or have ended badly."""
        entry = self.entries.get(key)
        accepted = {entry.said if entry is not None else None}
        for expected in expectations:
            accepted |= expected.accepted.get(key, frozenset())
        return said in accepted


def _misfits(said: Said, image: Listed) -> bool:
    return bool(said.boxes) and said.drawn_on != image.size


def differences(
    truth: Truth, expected: Expectation, actual: Mapping[str, Said]
) -> list[tuple[str, Accepted, Said | None]]:
    """Keys whose entries are not what a green run has to leave: key, what is accepted, and what is there."""
    wrong: list[tuple[str, Accepted, Said | None]] = []
    for key in sorted({*truth.entries, *expected.accepted, *actual}):
        entry = truth.entries.get(key)
        accepted = expected.accepted.get(key, frozenset([entry.said if entry is not None else None]))
        if actual.get(key) not in accepted:
            wrong.append((key, accepted, actual.get(key)))
    return wrong
