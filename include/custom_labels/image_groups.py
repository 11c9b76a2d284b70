"""Groups: images that belong together, such as the frames of one video, by what their keys say."""

from __future__ import annotations

import re

from include.custom_labels.errors import RequestError
from include.custom_labels.quotas import MAX_OBJECT_KEY_BYTES

FOLDER = "folder"
"""``group_by`` for the deepest folder of each image."""


class ImageGroups:
    """Names the group of an image.

    :param group_by: None, ``folder``, or a regular expression that is searched in the key below the location; its
        first group, or what it finds where it has none, is the group's name
    :param prefix: of the S3 folder location; empty, or ending with a slash
    :raises RequestError: INVALID_GROUP_BY for an expression that Python's ``re`` does not understand
    """

    def __init__(self, group_by: str | None, prefix: str) -> None:
        self._prefix = prefix
        self._by_folder = group_by == FOLDER
        self._expression = None if group_by is None or self._by_folder else _compiled(group_by)

    def name(self, key: str) -> str | None:
        """The name of the image's group; None where it is in none: at the level of the location, or without a match.

        :param key: below the prefix; S3 has none of more than 1,024 bytes, so that a longer one is in no group
        :raises ValueError: the key does not lie below the prefix
        """
        if not key.startswith(self._prefix):
            raise ValueError(f"{key!r} is outside {self._prefix!r}")
        below = key[len(self._prefix) :]
        if self._by_folder:
            return below.rpartition("/")[0] or None
        # Some expressions take a time that grows with a power of the key's length, or worse.
        if self._expression is None or len(below) > MAX_OBJECT_KEY_BYTES.value:
            return None
        match = self._expression.search(below)
        return (match[min(self._expression.groups, 1)] or None) if match else None


def _compiled(group_by: str) -> re.Pattern[str]:
    try:
        return re.compile(group_by)
    except (re.error, OverflowError, RecursionError) as error:
        raise RequestError(
            "INVALID_GROUP_BY",
            f"{group_by!r} is neither `folder` nor a regular expression: {error}.",
            "Write an expression such as ^([^/]+)/video-\\d+, and put what names the group in parentheses.",
            group_by=group_by,
        ) from error
