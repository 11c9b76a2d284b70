"""How many labels a dataset may have, and whose labels are too many."""

from __future__ import annotations

from collections.abc import Set

from include.custom_labels.codes import Code
from include.custom_labels.errors import ManifestError
from include.custom_labels.quotas import MAX_FINDING_SAMPLES, MAX_LABELS
from include.custom_labels.validation_results import first_names


def check_labels(
    labels: Set[str], source_labels: Set[str] | None = None, held_labels: Set[str] = frozenset[str]()
) -> None:
    """Refuse a dataset that would have too many labels.

    :param labels: that the dataset would have
    :param source_labels: that the import's source has; the others are named, since nobody finds them at the source.
        None where the source is not known
    :param held_labels: that only images have which a replacement of the dataset would remove, and `removals: hold`
        leaves
    :raises ManifestError: ERROR_MANIFEST_TOO_MANY_LABELS
    """
    if len(labels) <= MAX_LABELS.value:
        return
    code = Code.ERROR_MANIFEST_TOO_MANY_LABELS
    message = f"The dataset would have {len(labels):,} labels, and {MAX_LABELS.value} is the maximum."
    held = held_labels & labels
    others = labels - source_labels - held if source_labels is not None else frozenset[str]()
    steps = []
    if held:
        message += f" {_subject(held)} only on images that `removals: hold` keeps in the dataset: {first_names(held)}."
        steps.append("Let the run replace the dataset with `removals: replace`, which removes these images.")
    if others:
        message += f" {_subject(others)} not in the source, but from people or other imports: {first_names(others)}."
        rename = "Or rename" if held else "Rename"
        steps.append(f"{rename} or remove some of these labels in the gallery, or import fewer labels, and run again.")
    raise ManifestError(
        code,
        message,
        " ".join(steps) or code.next_step,
        labels=len(labels),
        labels_not_in_source=sorted(others)[: MAX_FINDING_SAMPLES.value],
    )


def _subject(labels: Set[str]) -> str:
    return "1 of them is" if len(labels) == 1 else f"{len(labels):,} of them are"
