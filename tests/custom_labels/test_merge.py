"""No human edit is lost, no image is lost, and merging twice changes nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.custom_labels.dataset_entries import read_entry
from include.custom_labels.merge import (
    BaseImage,
    MergedImage,
    MergePolicy,
    OurImage,
    Outcome,
    TheirEntry,
    describe,
    merge,
)

FOLDER = "s3://example-images/x/"


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
IDENTITY = f"{FOLDER}a.png"


def policy(
    human_edits: Literal["keep", "overwrite"] = "keep", removals: Literal["replace", "hold"] = "replace"
) -> MergePolicy:
    return MergePolicy(human_edits=human_edits, removals=removals, scope=FOLDER)


def one(
    ours: OurImage | None,
    *theirs: TheirEntry,
    base: BaseImage | None = None,
    pending: BaseImage | None = None,
    **choice: Any,
) -> list[MergedImage]:
    return list(
        merge(
            [ours] if ours else [],
            list(theirs),
            [base] if base else [],
            [[pending]] if pending else [],
            policy(**choice),
        )
    )


def our(data: bytes, etag: str = "e", width: int = 640, height: int = 480) -> OurImage:
    return OurImage(identity=IDENTITY, line=data + b"\n", etag=etag, size_bytes=9, width=width, height=height)


def their(data: bytes, **more: Any) -> TheirEntry:
    return TheirEntry(identity=IDENTITY, line=data, **more)


def based(data: bytes | None, etag: str = "e", aside: bytes | None = None) -> BaseImage:
    return BaseImage(identity=IDENTITY, line=data, etag=etag, size_bytes=9, aside=aside)


@pytest.mark.parametrize(
    ("theirs", "base", "outcome", "is_sent"),
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
        (boxed(), line("echo"), Outcome.KEPT, False),
        (line("echo", **ERROR), line("echo"), Outcome.CHANGED, True),
        (line("dot", **ERROR), line("echo"), Outcome.KEPT, False),
        (line(**{"half-metadata": {}}), line("echo"), Outcome.KEPT, False),
    ],
)
def test_what_becomes_of_an_image(theirs: bytes | None, base: bytes | None, outcome: Outcome, is_sent: bool) -> None:
    (merged,) = one(our(line("echo")), *([their(theirs)] if theirs else []), base=based(base) if base else None)
    assert (merged.outcome, merged.is_sent) == (outcome, is_sent)
    assert merged.line == (theirs if outcome is Outcome.KEPT else line("echo"))
    assert not merged.is_removal


def test_what_an_unfinished_run_sent_is_no_ones_work() -> None:
    (merged,) = one(our(line("spot")), their(line("dot")), base=based(line("echo")), pending=based(line("dot")))
    assert merged.outcome is Outcome.CHANGED


def test_overwriting_keeps_what_was_there_aside() -> None:
    (merged,) = one(our(line("echo")), their(line("dot")), base=based(line("echo")), human_edits="overwrite")
    assert (merged.outcome, merged.line, merged.aside) == (Outcome.OVERWRITTEN, line("echo"), line("dot"))
    assert merged.detail == "the dataset had 'dot'"


@pytest.mark.parametrize(
    ("removals", "outcome", "is_removal"), [("replace", Outcome.REMOVED, True), ("hold", Outcome.HELD, False)]
)
def test_an_image_that_is_gone(removals: Any, outcome: Outcome, is_removal: bool) -> None:
    (merged,) = one(None, their(line("dot")), base=based(line("echo")), removals=removals)
    assert (merged.outcome, merged.is_removal) == (outcome, is_removal)
    assert (merged.line or merged.aside) == line("dot")
    assert not merged.is_sent


def test_entries_of_other_origin_stay() -> None:
    entry = TheirEntry(identity="s3://example-images/y/a.png", line=line("dot", "y/a.png"))
    (merged,) = one(None, entry)
    assert (merged.outcome, merged.line, merged.is_sent) == (Outcome.OTHER, entry.line, False)


@pytest.mark.parametrize(
    ("removes_base", "base", "outcome"),
    [
        (True, based(line("echo")), Outcome.REMOVED),
        (True, None, Outcome.OTHER),
        (False, based(line("echo")), Outcome.OTHER),
    ],
)
def test_without_a_scope_an_import_removes_what_it_brought(
    removes_base: bool, base: BaseImage | None, outcome: Outcome
) -> None:
    chosen = MergePolicy(removes_base=removes_base)
    (merged,) = merge([], [their(line("echo"))], [base] if base else [], [], chosen)
    assert merged.outcome is outcome


def test_boxes_that_do_not_fit_new_bytes_are_kept_aside_until_they_fit() -> None:
    changed = our(line("echo"), etag="new", width=320, height=240)
    (merged,) = one(changed, their(boxed()), base=based(line("echo")))
    assert (merged.outcome, merged.line, merged.aside) == (Outcome.MISFIT, None, boxed())
    assert merged.is_removal
    assert merged.detail == "boxes were drawn on 640×480 pixels, and the image has 320×240"

    aside = based(line("echo"), etag="new", aside=boxed())
    (again,) = one(changed, base=aside)
    assert (again.outcome, again.aside, again.is_removal, again.is_sent) == (Outcome.MISFIT, boxed(), False, False)

    (back,) = one(our(line("echo"), etag="newer"), base=aside)
    assert (back.outcome, back.line, back.is_sent) == (Outcome.KEPT, boxed(), True)

    (held,) = one(changed, their(boxed()), base=based(line("echo")), removals="hold")
    assert (held.outcome, held.line, held.is_removal) == (Outcome.MISFIT, boxed(), False)
    (still,) = one(changed, their(boxed()), base=aside, removals="hold")
    assert still.outcome is Outcome.MISFIT


@pytest.mark.parametrize("etag", ["e", "new"])
def test_boxes_that_fit_stay(etag: str) -> None:
    width = 640 if etag == "new" else 320
    (merged,) = one(our(line("echo"), etag=etag, width=width), their(boxed()), base=based(line("echo")))
    assert merged.outcome is Outcome.KEPT


def test_work_on_a_removed_image_comes_back_with_it() -> None:
    aside = based(None, aside=line("dot"))
    (gone,) = one(None, base=aside)
    assert (gone.outcome, gone.aside, gone.is_removal) == (Outcome.REMOVED, line("dot"), False)
    (back,) = one(our(line("echo")), base=aside)
    assert (back.outcome, back.line, back.is_sent) == (Outcome.KEPT, line("dot"), True)


def test_work_on_an_image_at_another_place_moves_with_it() -> None:
    old = "custom-labels-history/v1/x/a.png"
    entry = their(line("dot", old))
    moved, stale = one(our(line("echo")), entry, base=based(line("echo", old)))
    assert (moved.outcome, moved.is_sent) == (Outcome.KEPT, True)
    assert read_entry(moved.line or b"") == read_entry(line("dot"))
    assert (stale.outcome, stale.is_removal) == (Outcome.STALE, True)
    fresh, stale = one(our(line("echo")), their(line("echo", old)), base=based(line("echo", old)))
    assert (fresh.outcome, fresh.is_sent, stale.is_removal) == (Outcome.NEW, True, True)


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


NAMES = ["x/a.png", "x/b.png", "x/c.png", "y/d.png"]
CONTENTS = st.sampled_from(["echo", "dot", "", "boxes", "small boxes"])
Contents = Mapping[str, str]
SIZES = {"1": (640, 480), "2": (320, 240)}


def written(content: str, key: str) -> bytes:
    if content == "boxes":
        return boxed(key)
    if content == "small boxes":
        return boxed(key, 320, 240)
    return line(content or None, key)


def says(content: str) -> bytes:
    """What an entry says; the size that boxes were drawn on is no part of it."""
    return read_entry(written(content, "x/a.png"))[1].content


def identity(key: str) -> str:
    return f"s3://example-images/{key}"


@given(
    theirs=st.dictionaries(st.sampled_from(NAMES), CONTENTS),
    lost=st.sets(st.sampled_from(NAMES)),
    base=st.dictionaries(st.sampled_from(NAMES), st.tuples(CONTENTS, st.sampled_from("12"))),
    ours=st.dictionaries(
        st.sampled_from(NAMES[:3]), st.tuples(st.sampled_from(["echo", "dot", ""]), st.sampled_from("12"))
    ),
    human_edits=st.sampled_from(["keep", "overwrite"]),
    removals=st.sampled_from(["replace", "hold"]),
)
def test_nothing_is_lost_and_a_second_merge_changes_nothing(
    theirs: Contents,
    lost: set[str],
    base: Mapping[str, tuple[str, str]],
    ours: Mapping[str, tuple[str, str]],
    human_edits: Literal["keep", "overwrite"],
    removals: Literal["replace", "hold"],
) -> None:
    chosen = policy(human_edits, removals)

    def our_images() -> list[OurImage]:
        return [
            OurImage(
                identity=identity(key),
                line=written(content, key),
                etag=version,
                size_bytes=9,
                width=SIZES[version][0],
                height=SIZES[version][1],
            )
            for key, (content, version) in sorted(ours.items())
        ]

    entries = [
        TheirEntry(identity=identity(key), line=written(content, key), is_present=key not in lost)
        for key, content in sorted(theirs.items())
    ]
    bases = [
        BaseImage(identity=identity(key), line=written(content, key), etag=version, size_bytes=9)
        for key, (content, version) in sorted(base.items())
    ]
    merged = list(merge(our_images(), entries, bases, [], chosen))
    assert [each.identity for each in merged] == sorted({*map(identity, theirs), *map(identity, ours)})
    by_key = {each.identity: each for each in merged}
    for key, content in theirs.items():
        after = by_key[identity(key)]
        theirs_line = written(content, key)
        edited = content != "" and (key not in base or says(base[key][0]) != says(content))
        if edited and (key not in ours or says(ours[key][0]) != says(content)):
            # A person's work is in the dataset, or kept aside where the ledger has it.
            assert theirs_line in (after.line, after.aside)
        if key in ours and human_edits == "keep" and after.outcome is not Outcome.MISFIT and edited:
            assert after.line == theirs_line
    for key in ours:
        # An image of the source is in the dataset afterwards, unless its boxes are in doubt.
        assert by_key[identity(key)].line is not None or by_key[identity(key)].outcome is Outcome.MISFIT

    registered = [
        BaseImage(
            identity=name,
            line=written(ours[key][0], key) if (key := name.removeprefix("s3://example-images/")) in ours else None,
            etag=ours[key][1] if key in ours else "",
            size_bytes=9,
            aside=each.aside,
        )
        for name, each in sorted(by_key.items())
    ]
    after_first = [TheirEntry(identity=each.identity, line=each.line) for each in merged if each.line is not None]
    second = list(merge(our_images(), after_first, registered, [], chosen))
    assert not [each for each in second if each.is_sent or each.is_removal]
    lines = {each.identity: each.line for each in merged if each.line is not None}
    assert {each.identity: each.line for each in second if each.line is not None} == lines
    assert {each.identity: each.aside for each in second if each.outcome in (Outcome.MISFIT, Outcome.REMOVED)} == {
        each.identity: each.aside
        for each in merged
        if each.outcome in (Outcome.MISFIT, Outcome.REMOVED) and each.aside is not None
    }
