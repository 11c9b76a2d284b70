"""No human edit is lost, no image is lost, and merging twice changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.custom_labels.dataset_entries import read_entry
from include.custom_labels.history import identity
from include.custom_labels.ledger import content_of
from include.custom_labels.merge import (
    BaseImage,
    MergedImage,
    MergePolicy,
    OtherImport,
    OurImage,
    Outcome,
    PendingDigest,
    TheirEntry,
    Version,
    describe,
    identity_of,
    merge,
    works,
)
from include.custom_labels.moves import find_moves
from include.custom_labels.outcomes import outcome_of_image


def line(label: str | None = None, key: str = "x/a.png", **more: object) -> bytes:
    members: dict[str, object] = {"source-ref": f"s3://example-images/{key}"}
    if label is not None:
        name = str(more.pop("name", "label-0"))
        members[name] = 1
        members[f"{name}-metadata"] = {
            "class-name": label,
            "confidence": 1,
            "type": "groundtruth/image-classification",
            "human-annotated": "yes",
            "creation-date": more.pop("date", "2026-11-22T20:00:00"),
        }
    return json.dumps(members | more).encode()


def boxed(key: str = "x/a.png", width: int = 640, height: int = 480, **more: object) -> bytes:
    boxes = {
        "bounding-box": {
            "image_size": [{"width": width, "height": height, "depth": 3}],
            "annotations": [{"class_id": 0, "top": 1, "left": 2, "width": 30, "height": 40}],
        },
        "bounding-box-metadata": {
            "objects": [{"confidence": 1}],
            "class-map": {"0": "echo"},
            "type": "groundtruth/object-detection",
            "human-annotated": "yes",
            "creation-date": "2026-11-22T20:00:00",
        },
    }
    return line(None, key, **boxes, **more)


ERROR = {"cl-errors": [{"code": "ERROR_INVALID_IMAGE", "message": "The image is invalid."}]}
IDENTITY = "s3://example-images/x/a.png"


def digest(data: bytes) -> bytes:
    return read_entry(data)[1].content


def one(*versions: Version | None, **choice: Any) -> list[MergedImage]:
    """The merge of what is known of one image."""
    return list(merge([[version] for version in versions if version is not None], MergePolicy(**choice)))


def our(data: bytes | None, etag: str = "e", width: int = 640, height: int = 480, **more: Any) -> OurImage:
    return OurImage(
        identity=IDENTITY,
        line=data and data + b"\n",
        etag=etag,
        size_bytes=9,
        width=width,
        height=height,
        **more,
    )


def their(data: bytes, **more: Any) -> TheirEntry:
    return TheirEntry(identity=IDENTITY, line=data, **more)


def based(sent: bytes | None, etag: str = "e", **more: Any) -> BaseImage:
    """What the base knows of an image for which `sent` was sent."""
    return BaseImage(
        identity=IDENTITY, sent=digest(sent) if sent is not None else None, etag=etag, size_bytes=9, **more
    )


def aside(work: bytes, etag: str = "e", **more: Any) -> BaseImage:
    """A base that keeps a person's entry aside."""
    return based(None, etag, work=work, is_aside=True, was_taken=False, **more)


def pending(data: bytes) -> PendingDigest:
    return PendingDigest(identity=IDENTITY, content=digest(data))


OTHERS = OtherImport(identity=IDENTITY, sent=bytes(16))


@pytest.mark.parametrize(
    ("theirs", "sent", "outcome", "is_sent"),
    [
        (None, None, Outcome.NEW, True),
        (None, line("echo"), Outcome.NEW, True),
        (line("echo"), None, Outcome.SAME, False),
        (line("echo", date="2020-01-01T00:00:00", name="my-label"), line("echo"), Outcome.SAME, False),
        (line("echo", **{"cl-metadata": {"is_labeled": True}}), line("echo"), Outcome.SAME, False),
        (line("dot"), line("dot"), Outcome.CHANGED, True),
        (line(), line(), Outcome.CHANGED, True),
        (line("dot"), None, Outcome.KEPT, False),
        (line("dot"), line("echo"), Outcome.KEPT, False),
        (line(), line("echo"), Outcome.KEPT, False),
        # Somebody may have removed the label of an image that this import never sent.
        (line(), None, Outcome.KEPT, False),
        (boxed(), line("echo"), Outcome.KEPT, False),
        (line("echo", **ERROR), line("echo"), Outcome.CHANGED, True),
        (line("dot", **ERROR), line("echo"), Outcome.KEPT, False),
        (line(**{"half-metadata": {}}), line("echo"), Outcome.KEPT, False),
    ],
)
def test_what_becomes_of_an_image(theirs: bytes | None, sent: bytes | None, outcome: Outcome, is_sent: bool) -> None:
    base = based(sent) if sent else None
    (merged,) = one(our(line("echo")), their(theirs) if theirs else None, base)
    assert (merged.outcome, merged.is_sent) == (outcome, is_sent)
    assert merged.line == (theirs if outcome is Outcome.KEPT else line("echo"))
    assert merged.before == theirs
    assert merged.work == (theirs if outcome is Outcome.KEPT else None)
    assert not merged.is_removal


def test_what_an_unfinished_run_sent_is_no_ones_work() -> None:
    (merged,) = one(our(line("spot")), their(line("dot")), based(line("echo")), pending(line("dot")))
    assert merged.outcome is Outcome.CHANGED


def test_a_row_of_the_base_without_anything_sent_makes_no_entry_ours() -> None:
    """What the base remembers of a person is theirs for good, and never taken for what was sent."""
    (merged,) = one(our(line("spot")), their(line("dot")), based(None, work=line("dot")))
    assert (merged.outcome, merged.line, merged.sent) == (Outcome.KEPT, line("dot"), None)


def test_an_edit_that_the_source_comes_to_say_stays_a_persons() -> None:
    (same,) = one(our(line("dot")), their(line("dot")), based(line("echo"), work=line("dot")))
    assert (same.outcome, same.is_sent, same.sent) == (Outcome.SAME, False, digest(line("echo")))
    (again,) = one(our(line("echo")), their(line("dot")), replace(based(None), sent=same.sent))
    assert (again.outcome, again.line, again.work) == (Outcome.KEPT, line("dot"), line("dot"))


def test_what_was_sent_is_remembered_while_a_person_has_another_entry_there() -> None:
    (kept,) = one(our(line("spot")), their(line("dot")), based(line("echo")))
    assert (kept.outcome, kept.sent) == (Outcome.KEPT, digest(line("echo")))
    # Once the person puts back what was sent, the source counts again.
    (changed,) = one(our(line("spot")), their(line("echo")), replace(based(None), sent=kept.sent))
    assert (changed.outcome, changed.sent) == (Outcome.CHANGED, digest(line("spot")))


def test_overwriting_keeps_what_was_there_aside() -> None:
    (merged,) = one(our(line("echo")), their(line("dot")), based(line("echo")), human_edits="overwrite")
    assert (merged.outcome, merged.line, merged.work) == (Outcome.OVERWRITTEN, line("echo"), line("dot"))
    assert (merged.before, merged.sent) == (line("dot"), digest(line("echo")))
    assert merged.detail == "the dataset had 'dot'"


def test_an_import_overwrites_only_what_it_brings() -> None:
    carried = our(line("echo"), is_carried=True)
    (merged,) = one(carried, their(line("dot")), based(line("echo")), human_edits="overwrite")
    assert (merged.outcome, merged.line, merged.is_sent) == (Outcome.KEPT, line("dot"), False)


@pytest.mark.parametrize(
    ("removals", "outcome", "is_removal"), [("replace", Outcome.REMOVED, True), ("hold", Outcome.HELD, False)]
)
def test_an_image_that_is_gone(removals: Any, outcome: Outcome, is_removal: bool) -> None:
    (merged,) = one(their(line("dot")), based(line("echo")), removals=removals)
    assert (merged.outcome, merged.is_removal, merged.is_loss) == (outcome, is_removal, is_removal)
    assert (merged.line is None) == is_removal
    assert merged.work == line("dot")
    assert not merged.is_sent
    # Ours goes without a trace.
    (gone,) = one(their(line("echo")), based(line("echo")), removals=removals)
    assert (gone.outcome, gone.work) == (outcome, None)


@pytest.mark.parametrize("removals", ["replace", "hold"])
def test_a_removed_label_is_work_while_its_image_is_gone_too(removals: Any) -> None:
    (gone,) = one(their(line()), based(line("echo")), removals=removals)
    assert gone.work == line()
    theirs = their(line()) if removals == "hold" else None
    base = based(line("echo"), work=gone.work, is_aside=removals == "replace")
    (back,) = one(our(line("echo")), theirs, base, removals=removals)
    assert (back.outcome, back.line, back.is_labelled) == (Outcome.KEPT, line(), False)


def test_a_held_entry_stays_a_persons_once_its_image_is_back() -> None:
    held = based(line("echo"), work=boxed())
    (back,) = one(our(line("echo")), their(boxed()), held, removals="hold")
    assert (back.outcome, back.line) == (Outcome.KEPT, boxed())


@pytest.mark.parametrize(
    ("base", "others", "outcome"),
    [
        (based(line("echo")), None, Outcome.REMOVED),
        (based(line("echo"), was_at_source=False), None, Outcome.REMOVED),
        (based(None), None, Outcome.REMOVED),
        (based(None, was_at_source=False), None, Outcome.OTHER),
        (None, None, Outcome.OTHER),
        (None, OTHERS, Outcome.OTHER),
        # Both imports have brought it; the other one still does.
        (based(line("echo")), OTHERS, Outcome.OTHER),
    ],
)
def test_an_import_removes_only_what_it_alone_has_brought(
    base: BaseImage | None, others: OtherImport | None, outcome: Outcome
) -> None:
    (merged,) = one(their(line("dot")), base, others)
    assert merged.outcome is outcome
    assert (merged.line, merged.is_sent) == (None if outcome is Outcome.REMOVED else line("dot"), False)


def test_what_only_adds_removes_nothing() -> None:
    (merged,) = one(their(line("echo")), based(line("echo")), only_adds=True)
    assert (merged.outcome, merged.line, merged.is_removal) == (Outcome.OTHER, line("echo"), False)


def test_what_an_unfinished_run_has_brought_may_be_removed() -> None:
    (merged,) = one(their(line("echo")), pending(line("echo")))
    assert (merged.outcome, merged.is_removal, merged.work) == (Outcome.REMOVED, True, None)


@pytest.mark.parametrize("human_edits", ["keep", "overwrite"])
@pytest.mark.parametrize("entry", [line("echo"), line("dot")])
def test_an_image_at_fault_is_not_gone(entry: bytes, human_edits: Any) -> None:
    (merged,) = one(our(None), their(entry), based(line("echo")), human_edits=human_edits)
    assert (merged.outcome, merged.line, merged.is_sent, merged.is_removal) == (Outcome.WITHHELD, entry, False, False)
    assert merged.work == (None if entry == line("echo") else entry)
    assert merged.sent == digest(line("echo"))


def test_work_on_an_image_at_fault_stays_aside() -> None:
    (merged,) = one(our(None), aside(line("dot")))
    assert (merged.outcome, merged.line, merged.work) == (Outcome.WITHHELD, None, line("dot"))


def test_an_entry_that_a_replacement_lost_comes_back() -> None:
    """From the export: with the image, and with another import."""
    lost = their(line("dot"), is_present=False)
    for merged in (*one(our(line("echo")), lost, based(line("echo"))), *one(lost)):
        assert (merged.line, merged.before, merged.is_sent, merged.is_removal) == (line("dot"), None, True, False)
    # While the image is at fault, it is kept aside.
    (withheld,) = one(our(None), lost)
    assert (withheld.outcome, withheld.line, withheld.work) == (Outcome.WITHHELD, None, line("dot"))
    assert not withheld.is_loss
    # Without its image, nothing can be sent, and another import has to tell what became of it.
    imageless = replace(lost, has_image=False)
    for others in (None, OTHERS):
        (left,) = one(imageless, others)
        assert (left.outcome, left.line, left.work, left.is_sent) == (Outcome.LEFT, None, line("dot"), False)
        assert outcome_of_image(left, "example-images") is None
    for base in (based(line("echo")), aside(line("dot")), based(None, was_at_source=False)):
        (told,) = one(imageless, base, OTHERS)
        assert (told.outcome, told.line, told.work, told.is_sent) == (Outcome.REMOVED, None, line("dot"), False)
    # One that is gone at its source stays away, and its work is kept.
    for removals in ("replace", "hold"):
        (gone,) = one(lost, based(line("echo")), removals=removals)
        assert (gone.outcome, gone.line, gone.work, gone.is_removal) == (Outcome.REMOVED, None, line("dot"), False)
        assert gone.is_loss


def test_what_a_dataset_lost_that_is_created_anew_is_removed_once() -> None:
    for base, work in ((based(line("echo")), None), (based(line("echo"), work=boxed()), boxed())):
        (gone,) = one(base, is_creation=True)
        assert (gone.outcome, gone.work, gone.is_loss, gone.is_removal) == (Outcome.REMOVED, work, True, False)
        assert one(base, OTHERS, is_creation=True) == one(base, OTHERS)
    # Of what was removed before, only the work is remembered.
    (gone,) = one(aside(boxed()), is_creation=True)
    assert (gone.outcome, gone.is_loss) == (Outcome.ASIDE, False)
    assert one(based(line("echo"), was_taken=False), is_creation=True) == []
    # Boxes that do not fit the image's new bytes leave the dataset as well.
    changed = our(line("echo"), etag="new", width=320, height=240)
    for versions in ((their(boxed(), is_present=False), based(line("echo"))), (based(None, work=boxed()),)):
        (misfit,) = one(changed, *versions, is_creation=True)
        assert (misfit.outcome, misfit.is_loss) == (Outcome.MISFIT, True)
    (again,) = one(changed, aside(boxed(), "new"), is_creation=True)
    assert (again.outcome, again.is_loss) == (Outcome.MISFIT, False)


def test_boxes_that_do_not_fit_new_bytes_are_kept_aside_until_they_fit() -> None:
    changed = our(line("echo"), etag="new", width=320, height=240)
    (merged,) = one(changed, their(boxed()), based(line("echo")))
    assert (merged.outcome, merged.line, merged.work) == (Outcome.MISFIT, None, boxed())
    assert merged.is_removal
    assert merged.detail == "boxes were drawn on 640×480 pixels, and the image has 320×240"

    (again,) = one(changed, aside(boxed(), "new"))
    assert (again.outcome, again.work, again.is_removal, again.is_sent) == (Outcome.MISFIT, boxed(), False, False)

    (back,) = one(our(line("echo"), etag="newer"), aside(boxed(), "new"))
    assert (back.outcome, back.line, back.is_sent) == (Outcome.KEPT, boxed(), True)

    (held,) = one(changed, their(boxed()), based(line("echo")), removals="hold")
    assert (held.outcome, held.line, held.is_removal) == (Outcome.MISFIT, boxed(), False)
    (still,) = one(changed, their(boxed()), aside(boxed(), "new"), removals="hold")
    assert still.outcome is Outcome.MISFIT


@pytest.mark.parametrize("etag", ["e", "new"])
def test_boxes_that_fit_stay(etag: str) -> None:
    width = 640 if etag == "new" else 320
    (merged,) = one(our(line("echo"), etag=etag, width=width), their(boxed()), based(line("echo")))
    assert (merged.outcome, merged.is_on_new_bytes) == (Outcome.KEPT, etag == "new")


@pytest.mark.parametrize(
    ("base", "is_told"),
    [
        # Overwritten since they were drawn, and since the import saw the image last.
        (based(line("echo")), True),
        (based(None, work=boxed(), drawn_on="older 9"), True),
        # Put back, after the image could not be read, or after others were there that the boxes fit or do not fit.
        (aside(boxed(), "damaged", drawn_on="new 9"), False),
        (based(None, "other", work=boxed(), drawn_on="new 9"), False),
        # It is the second time that they are there, and somebody was asked at the first one.
        (based(None, "new", work=boxed(), drawn_on="e 9"), False),
        # What was newer than the run, damaged or misfit was not taken, and nobody was asked.
        (based(None, "new", work=boxed(), drawn_on="e 9", was_taken=False), True),
        # Drawn again meanwhile.
        (based(None, "new", work=boxed(width=320), drawn_on="e 9"), False),
        (based(line("echo"), "damaged", was_taken=False), False),
        # Of an earlier release's ledger.
        (based(None, work=boxed()), True),
        (aside(boxed()), False),
        (None, False),
    ],
)
def test_it_is_told_once_that_boxes_are_on_other_bytes_than_they_were_drawn_on(
    base: BaseImage | None, is_told: bool
) -> None:
    (kept,) = one(our(line("echo"), etag="new"), their(boxed()), base)
    assert (kept.outcome, kept.is_on_new_bytes) == (Outcome.KEPT, is_told)


@pytest.mark.parametrize("image", [our(None, etag="new"), our(line("echo"), etag="new", width=320, height=240), None])
def test_what_boxes_were_drawn_on_is_remembered_while_the_image_is_not_there(image: OurImage | None) -> None:
    (first,) = one(image, their(boxed()), based(line("echo")))
    assert (first.work, first.drawn_on) == (boxed(), "e 9")
    (later,) = one(image, aside(boxed(), "new", drawn_on=first.drawn_on))
    assert (later.work, later.drawn_on) == (boxed(), "e 9")


def test_work_on_a_removed_image_comes_back_with_it() -> None:
    base = aside(line("dot"))
    (gone,) = one(base)
    assert (gone.outcome, gone.work, gone.is_removal) == (Outcome.ASIDE, line("dot"), False)
    (back,) = one(our(line("echo")), base)
    assert (back.outcome, back.line, back.is_sent) == (Outcome.KEPT, line("dot"), True)


def test_of_what_people_say_the_latest_counts() -> None:
    kept = one(our(line("echo")), their(line("dot")), aside(boxed()))
    damaged = one(our(None), their(line("dot")), aside(boxed()))
    removed = one(their(line("dot")), replace(aside(boxed()), sent=digest(line("echo"))))
    for (image,), line_after in ((kept, line("dot")), (damaged, line("dot")), (removed, None)):
        assert (image.line, image.work, image.gave_way) == (line_after, line("dot"), [boxed()])
        assert image.detail.endswith("earlier, it had 1 box: see entries.manifest")
    # Of what was not kept aside, a person has seen what became of it.
    (image,) = one(our(line("echo")), their(line("dot")), based(None, work=boxed()))
    assert (image.outcome, image.gave_way) == (Outcome.KEPT, ())


def test_what_another_import_says_is_no_later_word_of_a_person() -> None:
    others = OtherImport(identity=IDENTITY, sent=digest(line("dot")))
    (damaged,) = one(our(None), their(line("dot")), aside(boxed()), others)
    assert (damaged.outcome, damaged.line, damaged.work, damaged.detail) == (
        Outcome.WITHHELD,
        line("dot"),
        boxed(),
        "",
    )
    other, kept = one(their(line("dot")), aside(boxed()), others)
    assert (other.outcome, other.line) == (Outcome.OTHER, line("dot"))
    assert (kept.outcome, kept.line, kept.work, kept.gave_way) == (Outcome.ASIDE, None, boxed(), [])


def test_a_kept_entry_comes_back_into_a_dataset_that_has_vanished() -> None:
    (back,) = one(our(line("echo")), based(line("echo"), work=line("dot")))
    assert (back.outcome, back.line, back.is_sent) == (Outcome.KEPT, line("dot"), True)


def test_work_on_an_image_at_another_place_moves_with_it() -> None:
    old = "custom-labels-history/v1/x/a.png"
    moved, stale = one(our(line("echo")), their(line("dot", old)), based(line("echo")))
    assert (moved.outcome, moved.is_sent) == (Outcome.KEPT, True)
    assert read_entry(moved.line or b"") == read_entry(line("dot"))
    assert (stale.outcome, stale.is_removal, stale.is_loss) == (Outcome.STALE, True, False)
    fresh, stale = one(our(line("echo")), their(line("echo", old)), based(line("echo")))
    assert (fresh.outcome, fresh.is_sent, stale.is_removal) == (Outcome.NEW, True, True)


@pytest.mark.parametrize("removals", ["replace", "hold"])
def test_work_on_an_image_of_another_key_moves_with_it(removals: Any) -> None:
    """Its entry and its base come under the identity that the image has now."""
    entry = their(boxed("x/old.png"))
    moved, left = one(our(line("echo")), entry, based(line("echo")), removals=removals)
    assert (moved.outcome, moved.is_sent, moved.before) == (Outcome.KEPT, True, None)
    assert read_entry(moved.line or b"") == read_entry(boxed())
    assert moved.detail.endswith("moved here from s3://example-images/x/old.png")
    assert left.identity == "s3://example-images/x/old.png"
    assert (left.outcome, left.is_removal, left.is_loss) == (
        (Outcome.HELD, False, False) if removals == "hold" else (Outcome.STALE, True, False)
    )


def test_a_moved_image_that_another_import_brought_stays_where_it_was_as_well() -> None:
    moved, left = one(our(line("echo")), their(line("dot", "x/old.png")), based(line("echo")), OTHERS)
    assert read_entry(moved.line or b"") == read_entry(line("dot"))
    assert (left.outcome, left.line, left.identity) == (
        Outcome.OTHER,
        line("dot", "x/old.png"),
        "s3://example-images/x/old.png",
    )


def test_works_are_the_entries_of_people_in_the_dataset_or_remembered() -> None:
    def works_of(*versions: Version) -> list[tuple[str, bytes]]:
        return list(works([[version] for version in versions]))

    assert works_of(their(line("dot")), based(line("echo"))) == [(IDENTITY, line("dot"))]
    assert works_of(their(line("echo")), based(line("echo"), work=line("dot"))) == []
    assert works_of(their(line("dot")), based(line("echo")), pending(line("dot"))) == []
    assert works_of(based(line("echo"), work=line("dot"))) == [(IDENTITY, line("dot"))]
    assert works_of(their(line())) == [(IDENTITY, line())]


def test_errors_are_found_under_both_names() -> None:
    for member in ("errors", "cl-errors"):
        _, entry = read_entry(line("echo", **{member: [{"code": "ERROR_INVALID_IMAGE"}]}))
        assert entry.errors == ("ERROR_INVALID_IMAGE",)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (line("echo"), "'echo'"),
        (line(), "no label"),
        (boxed(), "1 box"),
        (b"{", "an entry of another kind"),
    ],
)
def test_what_a_line_says(data: bytes, words: str) -> None:
    assert describe(data) == words


KEYS = ["x/a.png", "x/b.png", "x/c.png", "y/d.png"]
CONTENTS = st.sampled_from(["echo", "dot", "", "boxes", "small boxes"])
ETAGS = st.sampled_from("1234")
SIZES = {"1": (640, 480), "2": (320, 240), "3": (640, 480), "4": (320, 240)}


def written(content: str, key: str) -> bytes:
    if content == "boxes":
        return boxed(key)
    if content == "small boxes":
        return boxed(key, 320, 240)
    return line(content or None, key)


def named(key: str) -> str:
    return f"s3://example-images/{key}"


@dataclass(frozen=True)
class World:
    """All that a run finds; the streams of it are sorted by identity, as the merge wants them."""

    ours: list[OurImage]
    theirs: list[TheirEntry]
    base: list[BaseImage]
    pending: list[PendingDigest]
    others: list[OtherImport]

    def moves(self) -> dict[str, str]:
        def places(images: Iterable[OurImage | BaseImage]) -> list[tuple[str, str, int]]:
            return [(each.identity, each.etag, each.size_bytes) for each in images]

        return find_moves(places(self.base), places(self.ours))

    def merge(self, policy: MergePolicy) -> list[MergedImage]:
        moves = self.moves()

        def moved(versions: Iterable[Any]) -> list[Any]:
            named = (replace(each, identity=moves.get(each.identity, each.identity)) for each in versions)
            return sorted(named, key=identity_of)

        known = (self.theirs, self.base, self.pending, self.others)
        return list(merge([self.ours, *map(moved, known)], policy))

    def is_work(self, name: str, entry: bytes) -> bool:
        """Whose an entry of an image is, told once more."""
        sent = {(each.identity, each.sent) for each in self.base}
        sent |= {(each.identity, each.content) for each in self.pending}
        moves = self.moves()
        same = {name, moves.get(name, name)}
        same |= {old for old, new in moves.items() if new in same}
        return not any((each, digest(entry)) in sent for each in same)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    keys = st.sampled_from(KEYS)
    lost = draw(st.sets(keys))
    imageless = lost & draw(st.sets(keys))
    ours = draw(
        st.dictionaries(
            st.sampled_from(KEYS[:3]),
            st.tuples(st.sampled_from(["echo", "dot", "", None]), ETAGS, st.booleans()),
        )
    )
    theirs = draw(st.dictionaries(st.tuples(keys, st.sampled_from(["", "custom-labels-history/v1/"])), CONTENTS))
    base = draw(
        st.dictionaries(
            keys,
            st.tuples(
                st.none() | CONTENTS,
                ETAGS,
                st.booleans(),
                st.none() | CONTENTS,
                st.booleans(),
                st.just("") | ETAGS,
            ),
        )
    )
    pending = draw(st.sets(st.tuples(keys, CONTENTS)))
    return World(
        ours=[
            OurImage(
                identity=named(key),
                line=None if content is None else written(content, key),
                etag=etag,
                size_bytes=9,
                width=SIZES[etag][0],
                height=SIZES[etag][1],
                is_carried=is_carried,
            )
            for key, (content, etag, is_carried) in sorted(ours.items())
        ],
        theirs=[
            TheirEntry(
                identity=named(key),
                line=written(content, f"{place}{key}"),
                is_present=key not in lost,
                has_image=key not in imageless,
            )
            for (key, place), content in sorted(theirs.items())
        ],
        base=[
            BaseImage(
                identity=named(key),
                sent=None if sent is None else digest(written(sent, key)),
                was_at_source=was_at_source or sent is not None,
                etag=etag,
                size_bytes=9,
                work=None if work is None else written(work, key),
                is_aside=work is not None and is_aside,
                was_taken=was_at_source and not is_aside,
                drawn_on="" if work is None else content_of(drawn_on, 9),
            )
            for key, (sent, etag, was_at_source, work, is_aside, drawn_on) in sorted(base.items())
            # Of other images, a base knows nothing.
            if was_at_source or sent is not None or work is not None
        ],
        pending=[
            PendingDigest(identity=named(key), content=digest(written(content, key)))
            for key, content in sorted(pending)
        ],
        others=[OtherImport(identity=named(key), sent=bytes(16)) for key in sorted(draw(st.sets(keys)))],
    )


POLICIES = st.builds(
    MergePolicy,
    human_edits=st.sampled_from(["keep", "overwrite"]),
    removals=st.sampled_from(["replace", "hold"]),
    is_creation=st.booleans(),
)


@given(world=worlds(), policy=POLICIES)
def test_nothing_is_lost_and_a_second_merge_changes_nothing(world: World, policy: MergePolicy) -> None:
    merged = world.merge(policy)
    check_that_every_entry_and_image_has_one_fate(world, merged)
    check_that_work_is_kept(world, merged, policy)
    check_that_a_second_merge_changes_nothing(world, merged, policy)


def check_that_every_entry_and_image_has_one_fate(world: World, merged: list[MergedImage]) -> None:
    before = sorted((each.source_ref, each.before) for each in merged if each.before is not None)
    assert before == sorted((read_entry(each.line)[0], each.line) for each in world.theirs if each.is_present)
    after = [each.source_ref for each in merged if each.line is not None]
    assert len(after) == len(set(after))
    assert all(read_entry(each.line)[0] == each.source_ref for each in merged if each.line is not None)
    told = [each.identity for each in merged if outcome_of_image(each, "example-images") is not None]
    assert len(told) == len(set(told)), "the ledger has one row for an image"
    for image in world.ours:
        here = [each for each in merged if each.identity == image.identity]
        if image.line is None:
            # It is not gone, and so nothing of it is removed.
            assert not [each for each in here if each.is_removal]
        else:
            (its_own,) = (each for each in here if each.source_ref == image.identity)
            # It is in the dataset afterwards, unless its boxes are in doubt.
            assert its_own.line is not None or its_own.outcome is Outcome.MISFIT
    theirs = {each.identity for each in world.others}
    brought = {each.identity for each in world.base} | {each.identity for each in world.pending}
    there = {image.identity for image in world.ours}
    lost = {each.identity for each in world.theirs if not each.has_image}
    for each in merged:
        # Of an image that is there, only other places are removed.
        if each.is_loss and (name := identity(each.source_ref)) not in there:
            assert each.outcome is Outcome.REMOVED
            assert name in brought
            assert name not in theirs or name in lost


def check_that_work_is_kept(world: World, merged: list[MergedImage], policy: MergePolicy) -> None:
    """A person's line is in the dataset, or where the ledger has it."""
    moves = world.moves()

    def is_there(content: bytes, name: str) -> bool:
        return any(
            line is not None and digest(line) == content
            for each in merged
            if name in (each.identity, moves.get(place := identity(each.source_ref), place))
            for line in (each.line, each.work, *each.gave_way)
        )

    said = {each.identity: digest(each.line) for each in world.ours if each.line is not None}
    for entry in world.theirs:
        name = moves.get(entry.identity, entry.identity)
        # What the source says as well is not lost.
        if world.is_work(entry.identity, entry.line) and said.get(name) != digest(entry.line):
            assert is_there(digest(entry.line), name)
    present = {moves.get(each.identity, each.identity) for each in world.theirs}
    for base in world.base:
        name = moves.get(base.identity, base.identity)
        # What a person has said since of an entry that the dataset had is newer.
        is_known = base.is_aside or name not in present
        if base.work is not None and world.is_work(base.identity, base.work) and is_known:
            assert said.get(name) == digest(base.work) or is_there(digest(base.work), identity(name))


def is_kept(said: MergedImage | None) -> bool:
    return said is not None and said.outcome in (Outcome.KEPT, Outcome.HELD)


def check_that_a_second_merge_changes_nothing(world: World, merged: list[MergedImage], policy: MergePolicy) -> None:
    """What comes of a run is what the next one finds: then nothing is sent, removed, or told otherwise."""
    told = {each.identity: each for each in merged if outcome_of_image(each, "example-images") is not None}
    images = {each.identity: each for each in world.ours}
    sent = {each.identity: each.sent for each in merged if each.sent is not None}
    registered = []
    for name in sorted(images.keys() | told.keys()):
        image, said = images.get(name), told.get(name)
        place = image or said
        assert place is not None
        work = said.work if said and said.outcome is not Outcome.OVERWRITTEN else None
        is_there = image is not None and image.line is not None
        was_at_source = is_there or (said is not None and said.outcome is Outcome.HELD) or name in sent
        if not was_at_source and work is None:
            continue
        registered.append(
            BaseImage(
                identity=name,
                sent=sent.get(name),
                was_at_source=was_at_source,
                etag=place.etag,
                size_bytes=place.size_bytes,
                work=work,
                # As `aside_of_row` says: the row's state is not that of an image in the dataset.
                is_aside=work is not None and not is_kept(said),
                was_taken=is_there and (said is None or said.outcome is not Outcome.MISFIT),
                drawn_on=said.drawn_on if said else "",
            )
        )
    after = World(
        ours=world.ours,
        theirs=sorted(
            [
                *(
                    TheirEntry(identity=identity(each.source_ref), line=each.line)
                    for each in merged
                    if each.line is not None
                ),
                # What is left in the export.
                *(
                    TheirEntry(identity=identity(each.source_ref), line=each.work, is_present=False, has_image=False)
                    for each in merged
                    if each.outcome is Outcome.LEFT and each.work is not None
                ),
            ],
            key=identity_of,
        ),
        base=registered,
        pending=[],
        others=world.others,
    )
    second = after.merge(policy)
    assert not [each for each in second if each.is_sent or each.is_removal or each.is_on_new_bytes]
    lines = {each.source_ref: each.line for each in merged if each.line is not None}
    assert {each.source_ref: each.line for each in second if each.line is not None} == lines
    check_that_every_entry_and_image_has_one_fate(after, second)
    check_that_work_is_kept(after, second, policy)

    def aside(images: list[MergedImage]) -> list[bytes]:
        # Work that is kept aside may find its image again, at another key.
        return sorted(digest(each.work) for each in images if each.work is not None and each.line is None)

    assert aside(second) == aside(merged)
