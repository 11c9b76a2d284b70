"""What histories did, in numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Tally:
    """:ivar counts: of histories, steps, kills, faults by kind, races, …, by name"""

    counts: Counter[str] = field(default_factory=Counter)

    def add(self, name: str, number: int = 1) -> None:
        self.counts[name] += number

    def to_json(self) -> dict[str, Any]:
        return dict(sorted(self.counts.items()))

    def __str__(self) -> str:
        width = max((len(name) for name in self.counts), default=0)
        return "\n".join(f"{name:<{width}}  {count:>8,}" for name, count in sorted(self.counts.items()))
