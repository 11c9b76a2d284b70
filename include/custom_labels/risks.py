"""What a person should see before a dataset is registered: nothing that Rekognition refuses, and maybe a mistake.

Each risk is one function of what is known by then. Labels are compared as people see them: `LOOKALIKE_LABELS` and
`SUSPICIOUS_LABELS` step over case, blanks, characters that show nothing, and the ways to compose an accented letter.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec

from include.custom_labels.quotas import (
    MAX_FINDING_SAMPLES,
    MAX_INVALID_LINES_PERCENT,
    MAX_LABELS,
    MAX_MANIFEST_BYTES,
    MAX_TEST_IMAGES_PER_LABEL,
    MIN_LABEL_OVERLAP_PERCENT,
    NEAR_INVALID_LINES_PERCENT,
    NEAR_QUOTA_PERCENT,
    DatasetType,
    regional_quotas,
)


class Risk(StrEnum):
    """A stable code, with what it means and what to do in `explanation`."""

    explanation: str

    def __new__(cls, code: str, explanation: str = "") -> Risk:
        member = str.__new__(cls, code)
        member._value_ = code
        member.explanation = explanation
        return member

    REGISTERED_DATASET_GONE = (
        "REGISTERED_DATASET_GONE",
        "The dataset that was registered last no longer exists, and would be created again, with the people's work "
        "that the ledger keeps; check that nobody deleted it on purpose.",
    )
    REMOVED_SHARE = (
        "REMOVED_SHARE",
        "More of the registered images are gone than `max_removed_percent` allows; check that the source is whole.",
    )
    WORK_REMOVED = (
        "WORK_REMOVED",
        "Images with people's labels or boxes are gone, or their content is found more than once, so nobody can tell "
        "where they went; they would leave the dataset. Their work is kept aside in the ledger and comes back with "
        "the image; check that they are meant to go.",
    )
    WORK_OVERWRITTEN = (
        "WORK_OVERWRITTEN",
        "People's labels or boxes would give way to the source, as `human_edits` asks; the snapshot's "
        "`entries.manifest` keeps them. Set `human_edits` to `keep` to leave them in the dataset.",
    )
    BOXES_ON_NEW_CONTENT = (
        "BOXES_ON_NEW_CONTENT",
        "Images on which people drew boxes were overwritten with others of the same width and height; the boxes "
        "stay. Check in the gallery that they fit the new images.",
    )
    NEW_LABELS = "NEW_LABELS", "Labels that the dataset does not have yet; check that no folder is misspelt."
    VANISHED_LABELS = (
        "VANISHED_LABELS",
        "Labels of the dataset that no image would have any more; check that no folder was renamed or emptied.",
    )
    LOOKALIKE_LABELS = (
        "LOOKALIKE_LABELS",
        "Labels that differ only in case, blanks, invisible characters or the composition of accents; give them one "
        "name.",
    )
    SUSPICIOUS_LABELS = (
        "SUSPICIOUS_LABELS",
        "Labels that are called like a split, a container or a tool's leftovers; check that they are meant as labels.",
    )
    FAULTS_NEAR_LIMIT = (
        "FAULTS_NEAR_LIMIT",
        "More than 15 % of the images are at fault, and with more than 20 % an import is refused; the ledger names "
        "each.",
    )
    LABEL_OVERLAP = (
        "LABEL_OVERLAP",
        "Less than half of the training labels have test images, with which training fails; add test images for the "
        "others.",
    )
    QUOTA_NEAR = (
        "QUOTA_NEAR",
        "The dataset has more than 90 % of the images, labels or manifest bytes that it may have; ask AWS for a "
        "higher quota of images, or split the dataset.",
    )
    LEAKAGE = (
        "LEAKAGE",
        "The same content is in the training dataset and in the test dataset, which flatters the test results; "
        "remove it from one of them.",
    )
    TEST_LABEL_TOO_LARGE = (
        "TEST_LABEL_TOO_LARGE",
        "A label has more than 1,000 test images; move some of them to the training dataset.",
    )


class RiskFinding(msgspec.Struct, frozen=True, kw_only=True):
    """One risk of a registration.

    :ivar detail: what was found, in one sentence
    :ivar count: datasets, images, labels, groups of labels or quotas concerned
    :ivar samples: the first of them
    """

    risk: Risk
    detail: str
    count: int
    samples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseState:
    """The dataset before the run.

    :ivar images: registered ones of this import's origin, of which `ProposedState.removed` is a part
    :ivar labels: of all its entries, whoever brought or labelled them; None where it is gone, and they with it
    """

    images: int
    labels: Collection[str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposedState:
    """What is known of a dataset before it is registered.

    :ivar images: that it would hold
    :ivar size_bytes: of its manifest
    :ivar images_per_label: of the dataset as it would be, with people's labels and entries of other imports: labels
        of entries that stay have not vanished
    :ivar images_seen: by the import, those at fault included
    :ivar at_fault: images that somebody wanted in the dataset and that cannot be
    :ivar fault_samples: keys of the first of them
    :ivar base: None before the first registration
    :ivar gone_dataset: ARN of the dataset that was registered last, where it no longer exists
    :ivar removed: images that base holds and this does not; moved ones are not among them
    :ivar removed_samples: addresses of the first of them
    :ivar moved: images that were found again elsewhere, and keep their entries
    :ivar work_removed: images with people's labels or boxes that would leave the dataset
    :ivar work_removed_samples: keys of the first of them
    :ivar work_overwritten: images whose labels or boxes are people's, and would give way to the source's
    :ivar work_overwritten_samples: keys of the first of them
    :ivar new_content: images that have boxes of people and were overwritten with others of the same width and height
    :ivar new_content_samples: keys of the first of them
    :ivar other_labels: of the project's other dataset, train for a test dataset; None where there is none
    :ivar leaked: images whose content is in the other dataset too
    :ivar leaked_samples: addresses of the first of them
    """

    dataset_type: DatasetType
    region: str
    images: int
    size_bytes: int
    images_per_label: Mapping[str, int]
    images_seen: int
    at_fault: int
    fault_samples: Sequence[str] = ()
    base: BaseState | None = None
    gone_dataset: str = ""
    max_removed_percent: float
    removed: int = 0
    removed_samples: Sequence[str] = ()
    moved: int = 0
    work_removed: int = 0
    work_removed_samples: Sequence[str] = ()
    work_overwritten: int = 0
    work_overwritten_samples: Sequence[str] = ()
    new_content: int = 0
    new_content_samples: Sequence[str] = ()
    other_labels: Collection[str] | None = None
    leaked: int = 0
    leaked_samples: Sequence[str] = ()


SPLIT_NAMES: Final = frozenset(
    "train training trainset test testing testset val validation eval evaluation holdout".split()  # noqa: SIM905
)
CONTAINER_NAMES: Final = frozenset(
    "images image img imgs annotations labels dataset datasets data".split()  # noqa: SIM905
)
LEFTOVER_NAMES: Final = frozenset(
    {
        *"tmp temp thumb thumbs thumbnail thumbnails cache backup bak trash node_modules".split(),  # noqa: SIM905
        "new folder",
        "untitled folder",
        "lost+found",
        "system volume information",
        "$recycle.bin",
        "#recycle",
        "@eadir",
    }
)
HIDDEN_PREFIXES: Final = (".", "__")
"""Of hidden folders and those of tools, such as ``.ipynb_checkpoints`` and ``__MACOSX``."""

_NUMBER: Final = re.compile(r"[-_]?(?:\d+|\(\d+\))$")


def find_risks(state: ProposedState, accepted: Collection[Risk]) -> list[RiskFinding]:
    """The risks of a registration, in the order of `Risk`.

    :param accepted: risks that somebody has accepted, which are left out
    """
    findings = (_FINDERS[risk](state) for risk in Risk if risk not in accepted)
    return [finding for finding in findings if finding is not None]


def _finding(risk: Risk, detail: str, samples: Iterable[str], count: int | None = None) -> RiskFinding:
    every = tuple(samples)
    return RiskFinding(
        risk=risk,
        detail=detail,
        count=len(every) if count is None else count,
        samples=every[: MAX_FINDING_SAMPLES.value],
    )


def _registered_dataset_gone(state: ProposedState) -> RiskFinding | None:
    if not state.gone_dataset:
        return None
    detail = f"{state.gone_dataset} no longer exists; a dataset of {state.images:,} images would take its place."
    return _finding(Risk.REGISTERED_DATASET_GONE, detail, [state.gone_dataset])


def _removed_share(state: ProposedState) -> RiskFinding | None:
    if state.base is None or state.removed * 100 <= state.max_removed_percent * state.base.images:
        return None
    moved = f" Not counted: {state.moved:,} that were moved, and stay." if state.moved else ""
    detail = (
        f"{state.removed:,} of {state.base.images:,} registered images are gone, "
        f"more than {state.max_removed_percent:g} %.{moved}"
    )
    return _finding(Risk.REMOVED_SHARE, detail, state.removed_samples, state.removed)


def _work_removed(state: ProposedState) -> RiskFinding | None:
    if not state.work_removed:
        return None
    images = _counted(state.work_removed, "image with people's labels or boxes", "images with people's labels or boxes")
    detail = f"{images} would leave the dataset."
    return _finding(Risk.WORK_REMOVED, detail, state.work_removed_samples, state.work_removed)


def _work_overwritten(state: ProposedState) -> RiskFinding | None:
    if not state.work_overwritten:
        return None
    detail = f"People's labels or boxes of {_counted(state.work_overwritten, 'image')} would be overwritten."
    return _finding(Risk.WORK_OVERWRITTEN, detail, state.work_overwritten_samples, state.work_overwritten)


def _boxes_on_new_content(state: ProposedState) -> RiskFinding | None:
    if not state.new_content:
        return None
    detail = f"People's boxes stay on the new content of {_counted(state.new_content, 'image')}."
    return _finding(Risk.BOXES_ON_NEW_CONTENT, detail, state.new_content_samples, state.new_content)


def _counted(count: int, one: str, many: str = "") -> str:
    return f"1 {one}" if count == 1 else f"{count:,} {many or one + 's'}"


def _new_labels(state: ProposedState) -> RiskFinding | None:
    before = state.base.labels if state.base else None
    labels = state.images_per_label.keys() - set(before) if before is not None else None
    if not labels:
        return None
    detail = f"{_counted(len(labels), 'label is', 'labels are')} new to the dataset."
    return _finding(Risk.NEW_LABELS, detail, sorted(labels))


def _vanished_labels(state: ProposedState) -> RiskFinding | None:
    before = state.base.labels if state.base else None
    labels = set(before) - state.images_per_label.keys() if before is not None else None
    if not labels:
        return None
    detail = f"{_counted(len(labels), 'label no longer has', 'labels no longer have')} any images."
    return _finding(Risk.VANISHED_LABELS, detail, sorted(labels))


def _lookalike_labels(state: ProposedState) -> RiskFinding | None:
    groups: dict[str, list[str]] = defaultdict(list)
    for label in sorted(state.images_per_label):
        groups[as_seen(label)].append(label)
    alike = [", ".join(map(ascii, labels)) for labels in groups.values() if len(labels) > 1]
    if not alike:
        return None
    return _finding(Risk.LOOKALIKE_LABELS, f"Groups of labels that look alike: {len(alike):,}.", alike)


def _suspicious_labels(state: ProposedState) -> RiskFinding | None:
    labels = [label for label in sorted(state.images_per_label) if is_suspicious(label)]
    if not labels:
        return None
    return _finding(Risk.SUSPICIOUS_LABELS, f"Labels with the name of something else: {len(labels):,}.", labels)


def _faults_near_limit(state: ProposedState) -> RiskFinding | None:
    if state.at_fault * 100 <= NEAR_INVALID_LINES_PERCENT.value * state.images_seen:
        return None
    detail = (
        f"{state.at_fault:,} of {state.images_seen:,} images are at fault, more than "
        f"{NEAR_INVALID_LINES_PERCENT.value} %; {MAX_INVALID_LINES_PERCENT.value} % are the limit."
    )
    return _finding(Risk.FAULTS_NEAR_LIMIT, detail, state.fault_samples, state.at_fault)


def _label_overlap(state: ProposedState) -> RiskFinding | None:
    if state.other_labels is None:
        return None
    ours, other = set(state.images_per_label), set(state.other_labels)
    train, test = (ours, other) if state.dataset_type == "TRAIN" else (other, ours)
    shared = len(train & test)
    if shared * 100 >= MIN_LABEL_OVERLAP_PERCENT.value * len(train):
        return None
    detail = f"{shared} of {len(train)} training labels have test images."
    return _finding(Risk.LABEL_OVERLAP, detail, sorted(train - test))


def _quota_near(state: ProposedState) -> RiskFinding | None:
    quotas = (
        ("images", state.images, regional_quotas(state.region).images(state.dataset_type)),
        ("labels", len(state.images_per_label), MAX_LABELS.value),
        ("manifest bytes", state.size_bytes, MAX_MANIFEST_BYTES.value),
    )
    near = [
        f"{value:,} of {quota:,} {name}"
        for name, value, quota in quotas
        if value * 100 > NEAR_QUOTA_PERCENT.value * quota
    ]
    if not near:
        return None
    return _finding(Risk.QUOTA_NEAR, f"The dataset has {', '.join(near)}.", near)


def _leakage(state: ProposedState) -> RiskFinding | None:
    if not state.leaked:
        return None
    detail = f"The content of {state.leaked:,} images is in the training dataset and in the test dataset."
    return _finding(Risk.LEAKAGE, detail, state.leaked_samples, state.leaked)


def _test_label_too_large(state: ProposedState) -> RiskFinding | None:
    if state.dataset_type != "TEST":
        return None
    limit = MAX_TEST_IMAGES_PER_LABEL.value
    labels = sorted(label for label, images in state.images_per_label.items() if images > limit)
    if not labels:
        return None
    detail = f"Labels with more than {limit:,} test images: {len(labels):,}."
    return _finding(Risk.TEST_LABEL_TOO_LARGE, detail, labels)


_FINDERS: Final[dict[Risk, Callable[[ProposedState], RiskFinding | None]]] = {
    Risk.REGISTERED_DATASET_GONE: _registered_dataset_gone,
    Risk.REMOVED_SHARE: _removed_share,
    Risk.WORK_REMOVED: _work_removed,
    Risk.WORK_OVERWRITTEN: _work_overwritten,
    Risk.BOXES_ON_NEW_CONTENT: _boxes_on_new_content,
    Risk.NEW_LABELS: _new_labels,
    Risk.VANISHED_LABELS: _vanished_labels,
    Risk.LOOKALIKE_LABELS: _lookalike_labels,
    Risk.SUSPICIOUS_LABELS: _suspicious_labels,
    Risk.FAULTS_NEAR_LIMIT: _faults_near_limit,
    Risk.LABEL_OVERLAP: _label_overlap,
    Risk.QUOTA_NEAR: _quota_near,
    Risk.LEAKAGE: _leakage,
    Risk.TEST_LABEL_TOO_LARGE: _test_label_too_large,
}


def as_seen(label: str) -> str:
    """The same for labels that people can hardly tell apart."""
    folded = unicodedata.normalize("NFD", unicodedata.normalize("NFD", label).casefold())
    return "".join(char for char in folded if not _shows_nothing(char))


def _shows_nothing(char: str) -> bool:
    # Variation selectors only choose between two drawings of the character before them.
    return (
        char.isspace()
        or unicodedata.category(char) in ("Cc", "Cf")
        or "\ufe00" <= char <= "\ufe0f"
        or "\U000e0100" <= char <= "\U000e01ef"
    )


def is_suspicious(label: str) -> bool:
    """Whether the label is called like a folder that is no label, with or without a number behind its name."""
    seen = as_seen(label)
    return seen.startswith(HIDDEN_PREFIXES) or bool({seen, _NUMBER.sub("", seen)} & _SUSPICIOUS)


_SUSPICIOUS: Final = frozenset(map(as_seen, SPLIT_NAMES | CONTAINER_NAMES | LEFTOVER_NAMES))
