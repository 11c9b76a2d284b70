"""Faults a test asks for beforehand, so that a client's handling of them can be seen."""

from __future__ import annotations

import threading
from typing import Final, Literal

import msgspec

from include.local_aws.errors import COMMON_CODES
from include.local_aws.service_model import MODEL

ASYNCHRONOUS_OPERATIONS: Final = frozenset({"CreateDataset", "UpdateDatasetEntries", "DistributeDatasetEntries"})


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the next ``calls`` calls of ``operation`` shall meet.

    Kinds: ``throttle`` answers ThrottlingException (HTTP 500, as the model has it); ``error`` answers ``code``
    (InternalServerError unless given) with ``message``; ``hang`` is silent for ``seconds`` and then answers as
    usual; ``fail`` accepts the call and lets the operation it starts end in ``*_FAILED``, with ``message`` as
    StatusMessage and ``code`` (SERVICE_ERROR or CLIENT_ERROR) as StatusMessageCode.
    """

    operation: str
    kind: Literal["throttle", "error", "hang", "fail"]
    calls: int = 1
    seconds: float = 60.0
    code: str = ""
    message: str = ""

    def problem(self) -> str | None:
        """Why this fault cannot be had, in words; None when it can."""
        if self.operation not in MODEL.operation_names:
            return f"Rekognition has no operation {self.operation!r}."
        if self.calls < 1 or self.seconds < 0:
            return "calls must be at least 1, and seconds not negative."
        if self.kind == "fail":
            if self.operation not in ASYNCHRONOUS_OPERATIONS:
                return f"Only {', '.join(sorted(ASYNCHRONOUS_OPERATIONS))} can end in a *_FAILED status."
            if self.code not in {"", "CLIENT_ERROR", "SERVICE_ERROR"}:
                return "code must be CLIENT_ERROR or SERVICE_ERROR."
        elif self.kind == "error" and self.code:
            declared = {shape.name for shape in MODEL.operation_model(self.operation).error_shapes} | COMMON_CODES
            if self.code not in declared:
                return f"{self.operation} does not declare {self.code}."
        return None


class FaultPlan:
    """The faults still to come, oldest first. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: list[Fault] = []

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._pending.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._pending.clear()

    def pending(self) -> list[Fault]:
        with self._lock:
            return list(self._pending)

    def take(self, operation: str, *, failing: bool = False) -> Fault | None:
        """Use up one call of the oldest fault for an operation: of kind ``fail``, or of the other kinds."""
        with self._lock:
            for place, fault in enumerate(self._pending):
                if fault.operation == operation and (fault.kind == "fail") == failing:
                    if fault.calls > 1:
                        self._pending[place] = msgspec.structs.replace(fault, calls=fault.calls - 1)
                    else:
                        del self._pending[place]
                    return fault
        return None
