"""The folder rule: which label an image gets from the folder that it lies in.

Source: *Creating an Amazon Rekognition Custom Labels Dataset*, section *Amazon S3 Bucket*: an image is labelled
with the child folder of the S3 folder location that it lies under, however deep; deeper folders give no names;
images at the level of the location have no label.

What the page leaves open is decided here: names are taken raw (no case folding, trimming, decoding or Unicode
normalization, since two folders that S3 keeps apart are two labels), and a child folder without a name, as in
``alexa-devices//a.png``, gives no label.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence


def folder_label(key: str, prefix: str) -> str | None:
    """The label of the object at ``key`` below the folder ``prefix``, or None where the rule gives none.

    :param prefix: empty, or ending with a slash (`S3FolderLocation.prefix`)
    :raises ValueError: the key does not lie below the folder
    """
    if not key.startswith(prefix):
        raise ValueError(f"{key!r} is outside {prefix!r}")
    folder, slash, _ = key[len(prefix) :].partition("/")
    return folder if slash and folder else None


def label_runs(keys: Sequence[str], prefix: str) -> Iterator[tuple[int, int, str | None]]:
    """The labels of consecutive keys as runs ``(start, stop, label)`` that cover all of them in order.

    A folder's keys stand side by side in a listing, so that the rule is asked once a folder and page, and the end
    of the run is found by bisection.

    :param keys: keys below ``prefix`` in the order of their UTF-8 bytes, as S3 lists them
    """
    start, stop = 0, len(keys)
    while start < stop:
        label = folder_label(keys[start], prefix)
        end = start + 1 if label is None else _end_of_folder(keys, f"{prefix}{label}/", start)
        yield start, end, label
        start = end


def _end_of_folder(keys: Sequence[str], folder: str, start: int) -> int:
    if keys[-1].startswith(folder):
        return len(keys)
    return bisect_right(keys, False, lo=start + 1, key=lambda key: not key.startswith(folder))
