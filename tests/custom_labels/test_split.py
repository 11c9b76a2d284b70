"""Which side an image is on: by content, group, history and label, never by its place in the listing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.custom_labels.image_groups import ImageGroups
from include.custom_labels.ledger import LedgerPage, State
from include.custom_labels.objects import ObjectPage
from include.custom_labels.reasons import Reason
from include.custom_labels.sides import PreviousSides, Side
from include.custom_labels.split import SplitRules, Splitter
from include.custom_labels.split_report import SplitReport

BUCKET = "example-images"


class Image(NamedTuple):
    key: str
    etag: str
    label: str | None = "echo"
    size_bytes: int = 1000


Sides = Mapping[str, Side]


def pages(images: Iterable[Image], rows: int = 3) -> Iterator[LedgerPage]:
    listed = list(images)
    for start in range(0, len(listed), rows):
        page = listed[start : start + rows]
        size = len(page)
        yield LedgerPage(
            ObjectPage(
                [image.key for image in page],
                [image.size_bytes for image in page],
                [image.etag for image in page],
                [""] * size,
            ),
            [State.UNLABELLED if image.label is None else State.LABELLED for image in page],
            [image.label for image in page],
            [Reason.IN_FOLDER] * size,
            [""] * size,
            [64] * size,
            [64] * size,
        )


def before(images: Iterable[Image], sides: Sides) -> PreviousSides:
    """What the two ledgers of the last import said."""
    listed = list(images)
    previous = PreviousSides()
    for side in (Side.TRAIN, Side.TEST):
        for page in pages(image for image in listed if sides[image.key] is side):
            previous.add(side, BUCKET, page)
    return previous


def split(
    images: Sequence[Image], rules: SplitRules | None = None, previous: PreviousSides | None = None
) -> tuple[dict[str, Side], SplitReport]:
    splitter = Splitter(rules or SplitRules(), BUCKET, previous)
    for page in pages(images):
        splitter.add(page)
    done = splitter.split()
    assert len(done.sides) == len(images)
    return {image.key: Side(side) for image, side in zip(images, done.sides, strict=True)}, done.report


def singles(count: int, label: str | None = "echo", start: int = 0) -> list[Image]:
    """Images of one label, each of its own content."""
    return [Image(f"{label}/{number}.png", f"{label}-{number}", label) for number in range(start, start + count)]


def on(side: Side, sides: Sides) -> set[str]:
    return {key for key, each in sides.items() if each is side}


def units_of(images: Sequence[Image], group_by: str | None = None) -> list[list[Image]]:
    """The units, found in the plainest way: sets are joined as long as two of them have something in common."""
    groups = ImageGroups(group_by, "")
    units: list[tuple[set[object], list[Image]]] = []
    for image in images:
        marks: set[object] = {("content", image.etag, image.size_bytes)}
        if (group := groups.name(image.key)) is not None:
            marks.add(("group", group))
        members = [image]
        apart = []
        for other_marks, others in units:
            if marks & other_marks:
                marks |= other_marks
                members += others
            else:
                apart.append((other_marks, others))
        units = [*apart, (marks, members)]
    return [members for _, members in units]


labels = st.sampled_from(["echo", "echo-dot", "echo\necho-dot", "kindle", "echo\nkindle", None])
images_of_any_kind = st.lists(
    st.builds(
        Image,
        st.builds("{}/{}.png".format, st.sampled_from("abc"), st.integers(0, 12)),
        st.integers(0, 15).map("e{}".format),
        labels,
        st.sampled_from([1000, 2000]),
    ),
    unique_by=lambda image: image.key,
    max_size=25,
)
group_rules = st.sampled_from([None, "folder", r"(\d)\.png"])
shares = st.sampled_from([0.05, 0.2, 0.5, 0.8])


@given(images_of_any_kind, group_rules, shares, st.data())
def test_the_order_of_rows_decides_nothing(
    images: list[Image], group_by: str | None, share: float, data: st.DataObject
) -> None:
    rules = SplitRules(group_by=group_by, test_share=share)
    known = {image.key: data.draw(st.sampled_from(Side)) for image in images}
    previous = before(images, known)
    again = data.draw(st.permutations(images))
    assert split(images, rules) == split(again, rules)
    assert split(images, rules, previous) == split(again, rules, previous)
    frozen = SplitRules(group_by=group_by, freeze_test=True)
    assert split(images, frozen, previous) == split(again, frozen, previous)


@given(images_of_any_kind, group_rules, shares, st.data())
def test_units_stay_whole_and_images_stay_where_they_were(
    images: list[Image], group_by: str | None, share: float, data: st.DataObject
) -> None:
    known = {image.key: data.draw(st.sampled_from(Side)) for image in images}
    gone = [Image(f"gone/{number}.png", f"e{number}") for number in range(16)]
    known |= {image.key: data.draw(st.sampled_from(Side)) for image in gone}
    rules = SplitRules(group_by=group_by, test_share=share)
    sides, report = split(images, rules, before([*images, *gone], known))
    for image in images:
        assert known[image.key] in (Side.NEITHER, sides[image.key])
    content_sides = defaultdict(set)
    for image in [*images, *gone]:
        if known[image.key] is not Side.NEITHER:
            content_sides[image.etag, image.size_bytes].add(known[image.key])
    leaking = 0
    for unit in units_of(images, group_by):
        was = {known[image.key] for image in unit} - {Side.NEITHER}
        by_content = {side for image in unit for side in content_sides[image.etag, image.size_bytes]}
        found = {sides[image.key] for image in unit}
        leaking += len(found) > 1
        if len(was | by_content) <= 1:
            assert found == (was or by_content or found)
            assert len(found) == 1
    assert report.leakage.units == leaking
    assert report.withheld_images == 0


@given(st.dictionaries(st.sampled_from("abcd"), st.integers(1, 30), min_size=1), shares)
def test_every_label_comes_as_close_to_its_share_as_it_can(counts: dict[str, int], share: float) -> None:
    images = [image for label, count in counts.items() for image in singles(count, label)]
    sides, report = split(images, SplitRules(test_share=share))
    test = Counter(image.label for image in images if sides[image.key] is Side.TEST)
    for label, count in counts.items():
        possible = range(1, count) if count > 1 else range(1)
        assert test[label] == min(possible, key=lambda images: (abs(images - share * count), images))
        assert report.labels[label].test_images == test[label]
        assert report.labels[label].train_images == count - test[label]
    assert report.labels_without_test == sorted(label for label, count in counts.items() if count == 1)
    assert report.test_images == test.total()


@given(st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=8), min_size=1, max_size=3), shares)
def test_every_label_with_two_units_has_one_on_each_side(sizes: list[list[int]], share: float) -> None:
    images = [
        Image(f"label-{label}/unit-{unit}/{number}.png", f"{label}-{unit}-{number}", f"label-{label}")
        for label, units in enumerate(sizes)
        for unit, size in enumerate(units)
        for number in range(size)
    ]
    sides, report = split(images, SplitRules(test_share=share, group_by="folder"))
    for label, units in enumerate(sizes):
        found = {sides[image.key] for image in images if image.label == f"label-{label}"}
        assert found == ({Side.TRAIN, Side.TEST} if len(units) > 1 else {Side.TRAIN})
        assert report.labels[f"label-{label}"].units == len(units)


@given(images_of_any_kind, group_rules, shares)
def test_every_label_keeps_a_train_unit_and_gets_a_test_unit_that_can_be_spared(
    images: list[Image], group_by: str | None, share: float
) -> None:
    sides, report = split(images, SplitRules(test_share=share, group_by=group_by))
    train_units: list[set[str]] = []
    for unit in units_of(images, group_by):
        unit_labels = {label for image in unit if image.label for label in image.label.split("\n")}
        if sides[unit[0].key] is Side.TRAIN:
            train_units.append(unit_labels)
        assert unit_labels or sides[unit[0].key] is Side.TRAIN
    left = Counter(label for unit_labels in train_units for label in unit_labels)
    assert report.labels_without_train == []
    for label in report.labels_without_test:
        for unit_labels in train_units:
            assert label not in unit_labels or any(left[each] == 1 for each in unit_labels)


@given(images_of_any_kind, st.integers(0, 25), group_rules, shares)
def test_a_refresh_with_more_images_moves_none(
    images: list[Image], first: int, group_by: str | None, share: float
) -> None:
    rules = SplitRules(group_by=group_by, test_share=share)
    some = images[:first]
    old, _ = split(some, rules)
    new, report = split(images, rules, before(some, old))
    assert {key: new[key] for key in old} == old
    assert report.images_of_both_sides == 0
    assert split(images, rules, before(images, new))[0] == new


@given(images_of_any_kind, st.data(), group_rules)
def test_a_frozen_test_side_never_gains(images: list[Image], data: st.DataObject, group_by: str | None) -> None:
    rules = SplitRules(group_by=group_by, freeze_test=True)
    known = {image.key: data.draw(st.sampled_from(Side)) for image in images}
    now = [image for image in images if data.draw(st.booleans())]
    renamed = [image._replace(key=f"new-{image.key}") for image in images if data.draw(st.booleans())]
    sides, report = split([*now, *renamed], rules, before(images, known))
    assert len(on(Side.TEST, sides)) <= len(on(Side.TEST, known))
    contents = {image.key: image.etag for image in [*now, *renamed]}
    test_contents = {image.etag for image in images if known[image.key] is Side.TEST}
    assert {contents[key] for key in on(Side.TEST, sides)} <= test_contents
    assert on(Side.TEST, known) & contents.keys() <= on(Side.TEST, sides)
    assert report.withheld_images == len(on(Side.NEITHER, sides))


@given(st.dictionaries(st.sampled_from("abcd"), st.integers(1, 12), min_size=1), shares, st.booleans())
def test_renamed_images_keep_the_side_of_their_content(counts: dict[str, int], share: float, frozen: bool) -> None:
    images = [image for label, count in counts.items() for image in singles(count, label)]
    old, _ = split(images, SplitRules(test_share=share))
    renamed = [image._replace(key=f"moved/{image.key}") for image in images]
    new, report = split(renamed, SplitRules(test_share=share, freeze_test=frozen), before(images, old))
    assert new == {f"moved/{key}": side for key, side in old.items()}
    assert report.new_units == 0


def test_the_choice_for_a_fresh_project_is_always_this_one() -> None:
    """A change of digests or seed would split the same images otherwise tomorrow."""
    sides, _ = split(singles(20))
    assert sorted(on(Side.TEST, sides)) == ["echo/11.png", "echo/12.png", "echo/14.png", "echo/3.png"]


def test_another_seed_is_another_choice() -> None:
    choices = {frozenset(on(Side.TEST, split(singles(20), SplitRules(seed=seed))[0])) for seed in ("", "a", "a" * 99)}
    assert len(choices) == 3


def test_large_units_are_no_likelier_in_the_test_dataset() -> None:
    unit = [Image(f"echo/clip/{number}.png", f"clip-{number}") for number in range(40)]
    images = [*unit, *(Image(f"{number}.png", f"{number}") for number in range(40))]
    taken = 0
    for seed in range(40):
        sides, _ = split(images, SplitRules(test_share=0.5, group_by="folder", seed=str(seed)))
        taken += sides[unit[0].key] is Side.TEST
    # It fits while the test side is less than half full, which is so for the first half of the order.
    assert 10 <= taken <= 30


SEEDS = [str(number) for number in range(30)]


def test_a_label_with_little_to_test_gives_its_smallest_unit() -> None:
    images = [Image(f"{size}/{number}.png", f"{size}-{number}") for size in (9, 2, 7) for number in range(size)]
    for seed in SEEDS:
        sides, _ = split(images, SplitRules(test_share=0.05, group_by="folder", seed=seed))
        assert on(Side.TEST, sides) == {"2/0.png", "2/1.png"}


def test_a_label_is_tested_with_images_of_its_own_where_it_has_some() -> None:
    images = [*singles(3, "kindle"), Image("both.png", "both", "echo\nkindle"), *singles(5, "echo")]
    for seed in SEEDS:
        _, report = split(images, SplitRules(test_share=0.25, seed=seed))
        assert report.labels["kindle"].test_images == 1


def test_labels_of_the_same_frequency_are_served_by_name() -> None:
    images = [*singles(4, "echo"), *singles(4, "kindle"), *singles(4, "echo\nkindle")]
    for seed in SEEDS:
        rules = SplitRules(test_share=0.4, seed=seed)
        assert split(images, rules) == split(images[::-1], rules)


def test_a_label_counts_once_an_image() -> None:
    _, report = split([Image("a.png", "1", "echo\necho")])
    assert report.labels["echo"].train_images == 1


def test_a_fresh_label_has_at_most_a_thousand_test_images() -> None:
    images = [*singles(5100), *(Image(f"dot/{i}.png", f"dot-{i}", "echo\necho-dot") for i in range(10))]
    sides, report = split(images, SplitRules(test_share=0.5))
    assert report.labels["echo"].test_images == len(on(Side.TEST, sides)) == 1000
    assert report.violations == []
    # A unit of more images than that fits on no test side.
    crowd = [Image(f"{clip}/{number}.png", f"{clip}-{number}") for clip in "ab" for number in range(1001)]
    assert split(crowd, SplitRules(test_share=0.5, group_by="folder"))[1].labels_without_test == ["echo"]


def test_more_test_images_of_before_than_a_label_may_have_are_reported() -> None:
    images = singles(1101)
    sides = dict.fromkeys((image.key for image in images), Side.TEST)
    _, report = split([*images, *singles(3, start=2000)], SplitRules(), before(images, sides))
    (violation,) = report.violations
    assert (violation.code, violation.detail) == ("WARNING_TOO_MANY_TEST_IMAGES_PER_LABEL", "echo")
    assert report.labels["echo"].test_images == 1101


def test_less_than_half_of_the_labels_in_test_is_reported_with_awss_code() -> None:
    images = [*singles(5, "echo"), *singles(1, "echo-dot"), *singles(1, "kindle")]
    _, report = split(images)
    (violation,) = report.violations
    assert (violation.code, violation.detail) == (
        "ERROR_INSUFFICIENT_LABEL_OVERLAP",
        "1 of 3 labels; missing: echo-dot, kindle",
    )


@pytest.mark.parametrize(
    ("images", "rules", "side", "detail"),
    [
        (
            singles(3),
            SplitRules(),
            Side.TRAIN,
            "No image is in the test dataset: all 3 images were in the training dataset before, and stay there.",
        ),
        (
            singles(3),
            SplitRules(),
            Side.TEST,
            "No image is in the training dataset: all 3 images were in the test dataset before, and stay there.",
        ),
        (singles(3), SplitRules(freeze_test=True), None, "No image is in the test dataset: it is frozen."),
        (
            singles(3, None),
            SplitRules(),
            None,
            "No image is in the test dataset: no image has a label, and an image without one tests nothing.",
        ),
        (
            [*singles(1), *singles(1, "dot")],
            SplitRules(),
            None,
            "No image is in the test dataset: each label has one set of images that belong together, and training "
            "needs it.",
        ),
    ],
)
def test_a_side_without_images_has_a_reason(
    images: list[Image], rules: SplitRules, side: Side | None, detail: str
) -> None:
    previous = before(images, dict.fromkeys((image.key for image in images), side)) if side else None
    sides, report = split(images, rules, previous)
    assert len(set(sides.values())) == 1
    (empty,) = [violation for violation in report.violations if violation.code == "WARNING_EMPTY_SIDE"]
    assert (empty.detail, bool(empty.next_step)) == (detail, True)


def test_what_is_known_and_what_is_single_are_both_said_of_an_empty_side() -> None:
    known = singles(3)
    previous = before(known, dict.fromkeys((image.key for image in known), Side.TRAIN))
    _, report = split([*known, *singles(1, "dot")], SplitRules(), previous)
    assert report.violations[0].detail == (
        "No image is in the test dataset: 3 images were in the training dataset before, and stay there; of the others, "
        "each label has one set of images that belong together, and training needs it."
    )


def test_two_sides_with_images_have_nothing_to_explain() -> None:
    for images in (singles(10), []):
        assert "WARNING_EMPTY_SIDE" not in [each.code for each in split(images)[1].violations]


def test_a_refresh_makes_up_for_a_share_that_is_missing() -> None:
    old = singles(100)
    previous = before(old, dict.fromkeys((image.key for image in old), Side.TRAIN))
    _, report = split([*old, *singles(50, start=100)], SplitRules(test_share=0.2), previous)
    assert (report.test_images, report.test_share, report.new_units) == (30, 0.2, 50)


def test_images_without_a_label_are_train_images_unless_they_belong_to_a_test_image() -> None:
    loose = singles(50, None)
    assert on(Side.TEST, split(loose)[0]) == set()
    images = [
        image
        for clip in "abcd"
        for image in (Image(f"{clip}/1.png", f"{clip}1"), Image(f"{clip}/2.png", f"{clip}2", None))
    ]
    sides, report = split([*images, *loose], SplitRules(test_share=0.5, group_by="folder"))
    assert len(on(Side.TEST, sides)) == 4
    assert (report.test_share, report.unlabelled_images) == (0.5, 54)
    kept, _ = split(loose, SplitRules(), before(loose, dict.fromkeys((i.key for i in loose), Side.TEST)))
    assert on(Side.TEST, kept) == set(kept)


TRAIN_IMAGE, TEST_IMAGE = Image("a/train.png", "1"), Image("b/test.png", "2")
HISTORY = {TRAIN_IMAGE.key: Side.TRAIN, TEST_IMAGE.key: Side.TEST}


@pytest.mark.parametrize(
    ("now", "group_by", "link", "group", "test"),
    [
        # A test image is overwritten with the content of a train image.
        ([TRAIN_IMAGE, TEST_IMAGE._replace(etag="1")], None, "content", None, {"b/test.png"}),
        ([TRAIN_IMAGE, TEST_IMAGE], r"/(t)", "group", "t", {"b/test.png"}),
        # A copy of the train image comes into the group of the test image: what is known of its content holds.
        (
            [TRAIN_IMAGE, TEST_IMAGE, Image("b/copy.png", "1")],
            "folder",
            "group",
            "b",
            {"b/test.png"},
        ),
        # New images link the two, and go to train.
        (
            [TRAIN_IMAGE, TEST_IMAGE, Image("a/new.png", "3"), Image("b/new.png", "3")],
            "folder",
            "group",
            "b",
            {"b/test.png"},
        ),
    ],
)
def test_leakage_moves_nothing_and_names_the_link(
    now: list[Image], group_by: str | None, link: str, group: str | None, test: set[str]
) -> None:
    sides, report = split(now, SplitRules(group_by=group_by), before([TRAIN_IMAGE, TEST_IMAGE], HISTORY))
    assert on(Side.TEST, sides) == test
    assert on(Side.TRAIN, sides) == {image.key for image in now} - test
    assert (report.leakage.units, report.leakage.train_images, report.leakage.test_images) == (1, len(now) - 1, 1)
    (leak,) = report.leakage.samples
    assert (leak.link, leak.group, leak.test) == (link, group, "b/test.png")
    assert sides[leak.train] is Side.TRAIN
    assert report.labels["echo"].units == report.units


def test_leakage_may_run_over_images_that_are_withheld() -> None:
    link = Image("a/copy.png", "2")
    sides, report = split(
        [TRAIN_IMAGE, TEST_IMAGE, link],
        SplitRules(group_by="folder", freeze_test=True),
        before([TRAIN_IMAGE, TEST_IMAGE], HISTORY),
    )
    assert sides[link.key] is Side.NEITHER
    assert report.leakage.samples[0].link == "other images"


def test_totals_of_leakage_are_true_and_samples_capped() -> None:
    old = [*singles(30, "echo"), *singles(30, "kindle")]
    history = {image.key: Side.TRAIN if image.label == "echo" else Side.TEST for image in old}
    rules = SplitRules(group_by=r"/(\d+)")
    sides, report = split(old, rules, before(old, history))
    assert split(old[::-1], rules, before(old, history)) == (sides, report)
    assert (report.leakage.units, report.leakage.train_images, report.leakage.test_images) == (30, 30, 30)
    assert len(report.leakage.samples) == 20
    assert [report.labels[label].units for label in ("echo", "kindle")] == [30, 30]


def test_the_place_of_one_test_image_goes_to_one_of_its_copies() -> None:
    copies = [Image(f"new/{number}.png", "2") for number in range(6)]
    rules = SplitRules(freeze_test=True)
    sides, report = split(copies, rules, before([TEST_IMAGE], HISTORY))
    assert (len(on(Side.TEST, sides)), report.withheld_images) == (1, 5)
    assert split(copies[::-1], rules, before([TEST_IMAGE], HISTORY))[0] == sides


@pytest.mark.parametrize(
    ("now", "group_by", "sides"),
    [
        ([Image("new/name.png", "2")], None, {"new/name.png": Side.TEST}),
        ([TEST_IMAGE, Image("new/copy.png", "2")], None, {"b/test.png": Side.TEST, "new/copy.png": Side.NEITHER}),
        # The place of an image that was overwritten is not free.
        (
            [TEST_IMAGE._replace(etag="9"), Image("new/name.png", "2")],
            None,
            {"b/test.png": Side.TEST, "new/name.png": Side.NEITHER},
        ),
        ([TEST_IMAGE, Image("b/new.png", "3")], "folder", {"b/test.png": Side.TEST, "b/new.png": Side.NEITHER}),
        ([TEST_IMAGE, *singles(2, "kindle")], None, {"kindle/0.png": Side.TRAIN, "kindle/1.png": Side.TRAIN}),
        ([TRAIN_IMAGE, Image("a/new.png", "3")], "folder", {"a/new.png": Side.TRAIN}),
    ],
)
def test_freezing(now: list[Image], group_by: str | None, sides: dict[str, Side]) -> None:
    rules = SplitRules(group_by=group_by, freeze_test=True)
    found, report = split(now, rules, before([TRAIN_IMAGE, TEST_IMAGE], HISTORY))
    assert found == found | sides
    assert report.withheld_images == list(sides.values()).count(Side.NEITHER)
    thawed, _ = split(now, SplitRules(group_by=group_by), before([TRAIN_IMAGE, TEST_IMAGE], HISTORY))
    assert all(thawed[key] is Side.TEST for key in on(Side.NEITHER, found))


def test_an_image_of_both_datasets_becomes_a_train_image() -> None:
    previous = before([TRAIN_IMAGE], HISTORY)
    for page in pages([TRAIN_IMAGE]):
        previous.add(Side.TEST, BUCKET, page)
    sides, report = split([TRAIN_IMAGE, Image("new.png", "1")], SplitRules(), previous)
    assert set(sides.values()) == {Side.TRAIN}
    assert report.images_of_both_sides == 1


def test_an_image_that_was_dropped_or_is_of_another_bucket() -> None:
    (page,) = pages([TEST_IMAGE])
    page.states[0] = State.DROPPED
    dropped, elsewhere = PreviousSides(), PreviousSides()
    dropped.add(Side.TEST, BUCKET, page)
    elsewhere.add(Side.TEST, "example-other-images", page)
    assert split([TEST_IMAGE._replace(etag="9")], previous=dropped)[0] == {TEST_IMAGE.key: Side.TEST}
    assert split([TEST_IMAGE._replace(etag="9")], previous=elsewhere)[0] == {TEST_IMAGE.key: Side.TRAIN}


def test_images_without_an_etag_are_no_duplicates() -> None:
    images = [Image(f"{number}.png", "") for number in range(10)]
    sides, report = split(images)
    assert (report.units, len(on(Side.TEST, sides))) == (10, 2)


def test_the_same_etag_with_another_size_is_another_content() -> None:
    assert split([Image("a.png", "1"), Image("b.png", "1", size_bytes=2)])[1].units == 2


def test_nothing_to_split() -> None:
    sides, report = split([])
    assert (sides, report.units, report.test_share, report.labels) == ({}, 0, 0.0, {})


@pytest.mark.parametrize("share", [0, 1, -0.2, float("nan")])
def test_a_share_is_between_nothing_and_all(share: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        SplitRules(test_share=share)


@settings(max_examples=25)
@given(images_of_any_kind, group_rules)
def test_the_report_is_json(images: list[Image], group_by: str | None) -> None:
    _, report = split(images, SplitRules(group_by=group_by))
    assert msgspec.json.decode(msgspec.json.encode(report), type=SplitReport) == report
    assert report.train_images + report.test_images == len(images)
    assert list(report.labels) == sorted(report.labels)
