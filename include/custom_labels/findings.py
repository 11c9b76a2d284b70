"""What was found wrong, one by one and in sum."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from include.custom_labels.codes import Code
from include.custom_labels.quotas import MAX_FINDING_SAMPLES

_DETAIL_LENGTH_MAX = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong.

    :ivar line_number: counted from 1; None for a finding about the file or the dataset
    :ivar source_ref: as the line has it, where it has one
    :ivar attribute: name of the line's member concerned, such as ``label-0-metadata``
    :ivar detail: the values concerned; may be empty
    """

    code: Code
    line_number: int | None = None
    source_ref: str | None = None
    attribute: str | None = None
    detail: str = ""

    @property
    def message(self) -> str:
        """What is wrong, in AWS's words where the code is AWS's."""
        return self.code.message.replace("{}", self.attribute or "")

    @property
    def next_step(self) -> str:
        """What to do about it."""
        return self.code.next_step

    def as_dict(self) -> dict[str, object]:
        """The finding as a JSON object; details are cut at 300 characters."""
        return {
            "code": self.code.value,
            "severity": self.code.severity,
            "line_number": self.line_number,
            "source_ref": self.source_ref,
            "attribute": self.attribute,
            "message": self.message,
            "detail": self.detail[:_DETAIL_LENGTH_MAX],
            "next_step": self.next_step,
        }


class FindingReport:
    """Findings by code: totals are true, of each code only the first few are kept.

    :ivar totals: findings seen, by code
    """

    def __init__(self, *, samples_per_code: int = MAX_FINDING_SAMPLES.value) -> None:
        self.totals: Counter[Code] = Counter()
        self._samples_per_code = samples_per_code
        self._samples: dict[Code, list[Finding]] = {}

    def add(self, finding: Finding) -> None:
        """Count a finding, and keep it while its code has room."""
        self.totals[finding.code] += 1
        samples = self._samples.setdefault(finding.code, [])
        if len(samples) < self._samples_per_code:
            samples.append(finding)

    def samples(self, code: Code) -> list[Finding]:
        """The first findings of the code."""
        return list(self._samples.get(code, ()))

    def has_room(self, code: Code) -> bool:
        """Whether the next finding of the code would be kept."""
        return len(self._samples.get(code, ())) < self._samples_per_code

    def __iter__(self) -> Iterator[Finding]:
        """Every finding that was kept, by code in the order of `Code`, then as found."""
        for code in Code:
            yield from self._samples.get(code, ())

    @property
    def errors(self) -> int:
        """Findings that are errors."""
        return sum(total for code, total in self.totals.items() if code.severity == "error")

    @property
    def warnings(self) -> int:
        """Findings that are warnings."""
        return sum(total for code, total in self.totals.items() if code.severity == "warning")
