"""Which images a save's edits concern, and what becomes of each: another line, a conflict, or a refusal."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final

from include.custom_labels.codes import Code
from include.custom_labels.entries import LabelledBox
from include.custom_labels.errors import AccessError, CustomLabelsError, ManifestError, RequestError
from include.custom_labels.line_edits import AssignLabels, LineEdit, Redraw, RenameLabel, edit_line, read_content
from include.custom_labels.locations import S3Uri
from include.gallery.catalog import Catalog, CatalogImage, seen_of
from include.gallery.drawing import NoPictureError
from include.gallery.messages import (
    MAX_DATASET_LABELS,
    Assignment,
    Box,
    Conflict,
    Problem,
    Redrawing,
    Refusal,
    Renaming,
)
from include.gallery.pictures import read_facts
from include.object_store.session import S3Session

Edit = Assignment | Renaming | Redrawing

_IMAGES_AT_ONCE: Final = 1_000
_HEADERS_AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedEntry:
    """An image's entry before and after; both without a line end."""

    id: str
    before: bytes
    after: bytes


Outcome = ChangedEntry | Conflict | Refusal


class Edits:
    """The edits of one save, in their order.

    :param catalog: with the dataset's entries as they are now
    :param saved: ids of images that this save has sent already: what their entries say by now is somebody's later work
    :raises ManifestError: ERROR_MANIFEST_TOO_MANY_LABELS
    """

    def __init__(
        self, edits: Sequence[Edit], catalog: Catalog, label_names: set[str], saved: Collection[str] = ()
    ) -> None:
        self._catalog = catalog
        self._renamings: list[tuple[int, LineEdit]] = []
        self._of_image: dict[str, list[tuple[int, LineEdit]]] = {}
        self._redrawings: dict[str, Redrawing] = {}
        ids: dict[str, None] = {}
        for number, edit in enumerate(edits):
            match edit:
                case Assignment():
                    assigned = AssignLabels(assign=tuple(edit.assign), remove=tuple(edit.remove))
                    for id in edit.ids:
                        ids[id] = None
                        self._of_image.setdefault(id, []).append((number, assigned))
                case Renaming():
                    self._renamings.append((number, RenameLabel(old=edit.old, new=edit.new)))
                    ids |= dict.fromkeys(catalog.with_label(edit.old))
                case Redrawing():
                    ids[edit.id] = None
                    self._of_image.setdefault(edit.id, []).append((number, _redraw(edit)))
                    # What a later drawing of the same image saw is what the first one left.
                    self._redrawings.setdefault(edit.id, edit)
        self._ids = [id for id in ids if id not in saved]
        _check_labels(edits, label_names)

    def outcomes(self, session: S3Session, creation_date: str) -> Iterator[Outcome]:
        """What becomes of each image; nothing of one whose entry says already what it shall say.

        :param creation_date: UTC as ``YYYY-MM-DDTHH:MM:SS``
        """
        with ThreadPoolExecutor(_HEADERS_AT_ONCE, thread_name_prefix="s3-probe") as threads:
            for at in range(0, len(self._ids), _IMAGES_AT_ONCE):
                ids = self._ids[at : at + _IMAGES_AT_ONCE]
                images = {image.id: image for image in self._catalog.find(ids)}
                sized = threads.map(partial(self._sized, session), ids, map(images.get, ids))
                for id, edits in zip(ids, sized, strict=True):
                    outcome = self._outcome(id, images.get(id), edits, creation_date)
                    if outcome is not None:
                        yield outcome

    def _sized(self, session: S3Session, id: str, image: CatalogImage | None) -> list[LineEdit] | CustomLabelsError:
        """The image's edits in their order; drawings have the size that the image's header says."""
        numbered = [*self._of_image.get(id, ()), *self._renamings]
        edits = [edit for _, edit in sorted(numbered, key=lambda each: each[0])]
        if image is None or not any(isinstance(edit, Redraw) and edit.boxes for edit in edits):
            return edits
        try:
            facts = read_facts(session, S3Uri.parse(image.place))
        except NoPictureError as error:
            return AccessError(
                "PICTURE_UNREADABLE", str(error), "Replace the object by a whole PNG or JPEG image, then refresh."
            )
        except (AccessError, RequestError) as error:
            return error
        return [
            Redraw(labels=edit.labels, boxes=edit.boxes, width=facts.width, height=facts.height)
            if isinstance(edit, Redraw)
            else edit
            for edit in edits
        ]

    def _outcome(
        self, id: str, image: CatalogImage | None, edits: list[LineEdit] | CustomLabelsError, creation_date: str
    ) -> Outcome | None:
        if image is None or image.line is None or not image.is_in_dataset:
            problem = Problem(
                code="IMAGE_NOT_IN_DATASET",
                message="The dataset has no entry of this image.",
                next_step="Reload the page; the image may have been removed.",
            )
            return Refusal(id=id, key=image.key if image else "", problem=problem)
        redrawing = self._redrawings.get(id)
        seen = seen_of(image.line)
        if redrawing is not None and not redrawing.force and redrawing.seen != seen:
            theirs = read_content(image.line)
            return Conflict(
                id=id,
                key=image.key,
                seen=seen,
                theirs_labels=list(theirs.labels),
                theirs_boxes=[
                    Box(label=each.label, left=each.left, top=each.top, width=each.width, height=each.height)
                    for each in theirs.boxes
                ],
            )
        if isinstance(edits, CustomLabelsError):
            return Refusal(id=id, key=image.key, problem=Problem.of(edits))
        try:
            after = edit_line(image.line, edits, creation_date)
        except ManifestError as error:
            return Refusal(id=id, key=image.key, problem=Problem.of(error))
        return None if after is None else ChangedEntry(id=id, before=image.line, after=after.removesuffix(b"\n"))


def _redraw(edit: Redrawing) -> Redraw:
    return Redraw(
        labels=tuple(dict.fromkeys(edit.labels)),
        boxes=tuple(
            LabelledBox(label=box.label, left=box.left, top=box.top, width=box.width, height=box.height)
            for box in edit.boxes
        ),
    )


def _check_labels(edits: Sequence[Edit], known: set[str]) -> None:
    """Refuse labels that the dataset would have too many of.

    :raises ManifestError: ERROR_MANIFEST_TOO_MANY_LABELS
    """
    names = set(known)
    for edit in edits:
        match edit:
            case Assignment():
                names |= set(edit.assign)
            case Renaming():
                if edit.old in names:
                    names = names - {edit.old} | {edit.new}
            case Redrawing():
                names |= {*edit.labels, *(box.label for box in edit.boxes)}
    if len(names) > max(MAX_DATASET_LABELS, len(known)):
        code = Code.ERROR_MANIFEST_TOO_MANY_LABELS
        raise ManifestError(
            code,
            f"The dataset would have {len(names):,} labels, and {MAX_DATASET_LABELS} is the most.",
            "Rename labels so that they become one, or use those that are there. Nothing was saved.",
        )
