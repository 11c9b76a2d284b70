"""The one exception that becomes an AWS error response."""

from __future__ import annotations

# Errors every AWS JSON service may answer although no operation of the model declares them.
COMMON_CODES = frozenset(
    {
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "RequestEntityTooLargeException",
        "SerializationException",
        "UnknownOperationException",
        "UnrecognizedClientException",
        "ValidationException",
    }
)


class ServiceError(Exception):
    """A refusal to be answered as ``{"__type": code, "Message": message}``.

    ``code`` is an error shape of the operation in the service model, or one of `COMMON_CODES`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"
