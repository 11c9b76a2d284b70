"""Rows of ``image,label,label…``, the layout of AWS's CSV script, into canonical entries.

There is no header, and a row is one line: fields may be quoted with ``"`` and have commas in them, but no line
breaks, so that a quote that is never closed costs its own line and not the rest of the file. The text is UTF-8, with
or without a byte order mark. The image is an ``s3://`` address, or a name below the folder of the images. Labels
stand in ``class-name`` and never in attribute names; blanks around them are left out, empty ones are passed over, and
repeated ones count once.

A row cannot carry boxes, confidences, dates or who labelled: the entry has confidence 1, ``human-annotated`` yes,
and the file's own date.

Source: Custom Labels Developer Guide, *Creating a manifest file from a CSV file*.
"""

from __future__ import annotations

import csv
from typing import Final

from include.custom_labels.codes import Code
from include.custom_labels.entries import AnnotatedImage, Mending, SourceRefOf, annotated, rejected
from include.custom_labels.label_attributes import ImageLabel
from include.custom_labels.line_rules import Problem, is_too_long
from include.custom_labels.manifest import ManifestLine, image_level_metadata
from include.custom_labels.reasons import Reason

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


def read_csv_row(
    data: bytes, number: int, *, source_ref_of: SourceRefOf, creation_date: str, mending: Mending
) -> AnnotatedImage:
    """One line of the file, with or without its end; any bytes at all have an outcome.

    :param number: counted from 1
    :param creation_date: UTC as ``YYYY-MM-DDTHH:MM:SS``
    """
    place = f"line {number}"
    mending = mending.fresh()
    if number == 1:
        data = data.removeprefix(_BYTE_ORDER_MARK)
    if not data.strip():
        return AnnotatedImage(place=place, reason=Reason.BLANK_LINE)
    if is_too_long(data):
        return rejected(place, Problem(Code.ERROR_JSON_LINE_TOO_LONG))
    try:
        rows = list(csv.reader([data.decode().rstrip("\r\n")], strict=True))
    except (csv.Error, UnicodeDecodeError) as error:
        return rejected(place, Problem(Code.ERROR_INVALID_JSON_LINE, detail=f"not a row: {error}"))
    if len(rows) != 1:
        return rejected(place, Problem(Code.ERROR_INVALID_JSON_LINE, detail="a line break within the line"))
    image, *labels = rows[0]
    if not image:
        return rejected(place, Problem(Code.ERROR_MISSING_SOURCE_REF, detail="the first field is empty"))
    source_ref = source_ref_of(image)
    if isinstance(source_ref, Problem):
        return rejected(place, source_ref, source_ref=image)
    pairs = tuple(
        ImageLabel("label", image_level_metadata(label, creation_date))
        for label in dict.fromkeys(field.strip() for field in labels)
        if label
    )
    return annotated(place, ManifestLine(source_ref=source_ref, labels=pairs), mending)
