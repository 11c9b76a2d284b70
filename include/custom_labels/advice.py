"""What to do about a reason, a risk or a code, as far as the import's source has the parameters for it.

A text that several sources show names only parameters that all of them have. What a parameter of some sources can do
about it is a sentence of its own, here, and is said to those who can set the parameter.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from include.custom_labels.codes import Code
from include.custom_labels.reasons import Reason
from include.custom_labels.risks import Risk

_EXCLUDE: Final = {"exclude": "`exclude` leaves them out."}
_DEEPER_FOLDER: Final = {"s3_folder": "A deeper S3 folder location has fewer."}

BY_PARAMETER: Final[Mapping[str, Mapping[str, str]]] = {
    Reason.EXCLUDED: {"exclude": "Change the pattern in `exclude` to import it."},
    Reason.HISTORY_KEY_TOO_LONG: {"history_folder": "Choose a shorter `history_folder`."},
    Reason.REPAIRED: {"repairs": "They were asked for with `repairs`."},
    Reason.BELOW_MIN_CONFIDENCE: {"min_confidence": "Lower `min_confidence` to import them."},
    Reason.UNUSABLE_ANNOTATION: {"repairs": "`repairs` may fix them."},
    Reason.COPY_CONFLICT: {
        "image_destination": "Choose another `image_destination`.",
        "image_root": "Choose another `image_root`.",
    },
    Reason.NAME_TAKEN: {"destination": "Another `destination` has room for it under its name."},
    Reason.LABEL_TOO_LONG: {"label_aliases": "`label_aliases` gives it a shorter label."},
    Reason.LABEL_NOT_ALLOWED: {"label_aliases": "`label_aliases` gives it another label."},
    Risk.LOOKALIKE_LABELS: {"label_aliases": "`label_aliases` does so for folders."},
    Risk.SUSPICIOUS_LABELS: {
        "s3_folder": "A deeper S3 folder location has other labels.",
        "exclude": "`exclude` leaves a folder out.",
    },
    Code.ERROR_EMPTY_MANIFEST: {"s3_folder": "Check `s3_folder`, which is case-sensitive."},
    Code.ERROR_MANIFEST_TOO_MANY_LABELS: {
        **_DEEPER_FOLDER,
        "label_aliases": "`label_aliases` joins labels.",
        "exclude": "`exclude` leaves folders out.",
    },
    Code.ERROR_MANIFEST_ROWS_EXCEEDS_MAXIMUM: {**_DEEPER_FOLDER, "exclude": "`exclude` leaves images out."},
    Code.ERROR_TOO_MANY_RECORDS_IN_ERROR: {**_EXCLUDE, "repairs": "`repairs` fixes some kinds of annotations."},
    Code.ERROR_IMAGES_IN_MULTIPLE_S3_BUCKETS: {
        "image_destination": "All images are copied to an S3 folder given in `image_destination`.",
        "image_root": "Images of other buckets are copied to an S3 folder given in `image_root`.",
    },
}
"""Sentences by parameter, by code."""


def advise(code: str, text: str, parameters: Collection[str] | None = None) -> str:
    """The text, and what the parameters can do about it.

    :param code: a reason, a risk or a code
    :param text: what it means and what to do, in sentences
    :param parameters: names of those that the import's source has; None: of all sources, as the documentation says it
    """
    sentences = BY_PARAMETER.get(code, {})
    return " ".join(
        [text, *(said for name, said in sentences.items() if parameters is None or name in parameters)]
    ).strip()
