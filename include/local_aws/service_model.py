"""Requests and responses checked against botocore's own model of Rekognition.

A client checks only part of its model (no pattern, no enum, no maximum), so the service has to.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from botocore.loaders import Loader
from botocore.model import (
    ListShape,
    MapShape,
    OperationModel,
    OperationNotFoundError,
    ServiceModel,
    Shape,
    StructureShape,
)

from include.local_aws.errors import ServiceError

_RAW: Final[dict[str, Any]] = Loader().load_service_model("rekognition", "service-2")
MODEL: Final = ServiceModel(_RAW, "rekognition")
TARGET_PREFIX: Final = f"{MODEL.metadata['targetPrefix']}."

# Java's Unicode classes, for Python's re: \w stands for letters and numbers, the rest are the separators of
# Unicode's category Z.
_JAVA_CLASSES: Final = {
    r"\p{L}": r"\w",
    r"\p{N}": r"\w",
    r"\p{Z}": " \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000",
}
_PYTHON_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "boolean": (bool,),
    "timestamp": (int, float),
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
}


def operation_model(target: str) -> OperationModel:
    """The operation an ``X-Amz-Target`` header names.

    Raises:
        ServiceError: UnknownOperationException.
    """
    if target.startswith(TARGET_PREFIX):
        try:
            return MODEL.operation_model(target.removeprefix(TARGET_PREFIX))
        except OperationNotFoundError:
            pass
    raise ServiceError("UnknownOperationException", f"{target or 'A request without X-Amz-Target'} is no operation.")


def error_status(code: str) -> int:
    """The HTTP status of an error: 500 for the model's server faults, else 400."""
    return 500 if _RAW["shapes"].get(code, {}).get("fault") else 400


def parse_request(operation: OperationModel, body: Any) -> dict[str, Any]:
    """Check a decoded request and return it with blobs as bytes.

    Raises:
        ServiceError: SerializationException for a wrong JSON type, ValidationException for all the rest,
            every broken constraint in one message, as AWS's front end does.
    """
    shape = operation.input_shape
    if shape is None:
        return {}
    if not isinstance(body, dict):
        raise ServiceError("SerializationException", "The request body must be a JSON object.")
    violations: list[str] = []
    parsed = _parse(body, shape, "", violations)
    if violations:
        plural = "s" if len(violations) > 1 else ""
        raise ServiceError(
            "ValidationException", f"{len(violations)} validation error{plural} detected: " + "; ".join(violations)
        )
    return parsed  # type: ignore[no-any-return]


def response_violations(operation: OperationModel, response: dict[str, Any]) -> list[str]:
    """What in a response breaks the operation's output shape; empty when nothing does."""
    if operation.output_shape is None:
        return [] if not response else ["no output is declared"]
    violations: list[str] = []
    try:
        _parse(response, operation.output_shape, "", violations)
    except ServiceError as error:
        violations.append(error.message)
    return violations


def _parse(value: Any, shape: Shape, path: str, violations: list[str]) -> Any:
    value = _typed(value, shape, path)
    violations.extend(
        f"Value {_shown(value)} at '{path}' failed to satisfy constraint: {constraint}"
        for constraint in _broken_constraints(value, shape)
    )
    if isinstance(shape, StructureShape):
        violations.extend(
            f"Value null at '{_join(path, name)}' failed to satisfy constraint: Member must not be null"
            for name in shape.required_members
            if value.get(name) is None
        )
        violations.extend(
            f"Value at '{_join(path, name)}' failed to satisfy constraint: Member must be one of the model's members"
            for name in value
            if name not in shape.members
        )
        return {
            name: _parse(value[name], member, _join(path, name), violations)
            for name, member in shape.members.items()
            if value.get(name) is not None
        }
    if isinstance(shape, ListShape):
        return [
            _parse(item, shape.member, f"{path}.{number}.member", violations) for number, item in enumerate(value, 1)
        ]
    if isinstance(shape, MapShape):
        return {
            _parse(key, shape.key, f"{path}.key", violations): _parse(
                item, shape.value, f"{path}.{key}.member", violations
            )
            for key, item in value.items()
        }
    return value


def _typed(value: Any, shape: Shape, path: str) -> Any:
    if shape.type_name == "blob":
        if isinstance(value, str):
            try:
                return base64.b64decode(value, validate=True)
            except binascii.Error:
                pass
        raise ServiceError("SerializationException", f"The value at '{path}' must be base64 text.")
    expected = _PYTHON_TYPES[shape.type_name]
    if not isinstance(value, expected) or (isinstance(value, bool) and bool not in expected):
        raise ServiceError("SerializationException", f"The value at '{path}' must be a {shape.type_name}.")
    return value


def _broken_constraints(value: Any, shape: Shape) -> Iterator[str]:
    metadata = shape.metadata
    minimum, maximum = metadata.get("min"), metadata.get("max")
    size: float
    if isinstance(value, str | bytes | list | dict):
        size, measure = len(value), "length"
    elif isinstance(value, int | float):
        size, measure = value, "value"
    else:
        return
    if minimum is not None and size < minimum:
        yield f"Member must have {measure} greater than or equal to {minimum}"
    if maximum is not None and size > maximum:
        yield f"Member must have {measure} less than or equal to {maximum}"
    if isinstance(value, str):
        pattern, enum = metadata.get("pattern"), metadata.get("enum")
        if pattern and not _compiled(pattern).fullmatch(value):
            yield f"Member must satisfy regular expression pattern: {pattern}"
        if enum and value not in enum:
            yield f"Member must satisfy enum value set: [{', '.join(enum)}]"


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    translated = pattern
    for java, python in _JAVA_CLASSES.items():
        translated = translated.replace(java, python)
    return re.compile(translated, re.ASCII if translated == pattern else re.UNICODE)


def _join(path: str, name: str) -> str:
    # AWS names members in these messages with a small first letter.
    name = name[:1].lower() + name[1:]
    return f"{path}.{name}" if path else name


def _shown(value: Any) -> str:
    if isinstance(value, bytes):
        return f"of {len(value)} bytes"
    text = str(value)
    return f"'{text[:100]}…'" if len(text) > 100 else f"'{text}'"
