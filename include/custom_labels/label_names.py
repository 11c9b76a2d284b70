r"""Which texts may be labels.

The API's pattern of a label is ``.{1,}``: no line break, of which languages know more than ``\n``. Other control
characters cannot be seen, and no person would find the label again that has one.
"""

from __future__ import annotations

import re
from typing import Final

_NOT_ALLOWED: Final = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
_CHARACTER: Final = re.compile(f"[{_NOT_ALLOWED}]")

LABEL_PATTERN: Final = rf"^[^{_NOT_ALLOWED}]*$(?!\n)"
"""A regular expression of what has only characters that a label may have; Python and ECMAScript read it alike."""


def is_allowed(label: str) -> bool:
    """Whether no character of the text is one that a label may not have; its length is another matter."""
    return _CHARACTER.search(label) is None
