"""Errors of the domain.

::

    CustomLabelsError            everything that a person can act on; `code`, `message`, `next_step`
    ├── RequestError             the request itself is wrong: nothing was read
    ├── AccessError              something is missing, out of reach or in the wrong place
    │   └── DocumentError        a document of the workspace is missing, damaged or of another format
    ├── ManifestError            the manifest as a whole cannot be used
    └── DatasetConflictError     the dataset is not in the state that the request needs

Codes that start with ``ERROR_`` and are listed in `include.custom_labels.codes` are AWS's own.
"""

from __future__ import annotations

from typing import Final

RENEW_CREDENTIALS: Final = (
    "Renew the AWS connection's credentials, or let it assume a role, whose credentials renew themselves; "
    "then try again."
)
"""What to do about credentials that have expired, whichever service says so."""


class CustomLabelsError(Exception):
    """A failure with a stable code and the next step.

    :param code: stable, upper case, for machines and for searching the documentation
    :param message: what is wrong, in one sentence
    :param next_step: what to do about it, in one sentence
    :param details: the values concerned, by name; small and free of secrets
    """

    def __init__(self, code: str, message: str, next_step: str, **details: object) -> None:
        super().__init__(code, message, next_step)
        self.code = code
        self.message = message
        self.next_step = next_step
        self.details = details

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.code, self.message, self.next_step, self.details))

    def __str__(self) -> str:
        return f"{self.code}: {self.message} {self.next_step}"


def _rebuild(
    kind: type[CustomLabelsError], code: str, message: str, next_step: str, details: dict[str, object]
) -> CustomLabelsError:
    return kind(code, message, next_step, **details)


class RequestError(CustomLabelsError):
    """The request is wrong; nothing was read or written."""


class AccessError(CustomLabelsError):
    """A bucket, folder, key or permission is missing or in the wrong place."""


class DocumentError(AccessError):
    """A document of the workspace is missing, damaged or of another format; nothing was written since it was read."""


class ManifestError(CustomLabelsError):
    """The manifest as a whole would be refused by Amazon Rekognition."""


class DatasetConflictError(CustomLabelsError):
    """The dataset's present state does not allow what was asked; it was not touched."""
