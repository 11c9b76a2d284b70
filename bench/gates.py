"""The gates of continuous integration: a real loss of speed closes one, a busy machine does not.

Whatever else runs on a machine adds CPU time to a round and takes none away. So the best rounds are compared, and while
a ratio is near its gate, more of them are measured.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

FEWEST_ROUNDS = 3
MOST_ROUNDS = 12
GATE_SHARE = 0.5
"""A gate is at this share of what is usual."""
NEAR_SHARE = 1.3
"""A ratio of less than this many times its gate is near it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A contender that has to stay faster than a peer.

    :ivar usual: the peer's CPU time divided by ours, the best round of each, on a quiet machine
    """

    title: str
    ours: str
    usual: float

    @property
    def least(self) -> float:
        return self.usual * GATE_SHARE


@dataclass(slots=True, kw_only=True)
class Contest:
    """Contenders that share a peer's rounds.

    :ivar cpu_s: CPU seconds of each contender's rounds so far
    """

    gates: tuple[Gate, ...]
    peer: str
    cpu_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def decide(self, measure_s: Callable[[str], float]) -> None:
        """Measure rounds in which the contenders take turns, until every ratio is clear of its gate, or the most.

        :param measure_s: runs a contender once; its CPU seconds
        """
        names = (*(gate.ours for gate in self.gates), self.peer)
        for number in range(MOST_ROUNDS):
            if number >= FEWEST_ROUNDS and all(self.ratio(gate) >= gate.least * NEAR_SHARE for gate in self.gates):
                break
            for name in names:
                self.cpu_s[name].append(measure_s(name))

    @property
    def rounds(self) -> int:
        return len(self.cpu_s[self.peer])

    def ratio(self, gate: Gate) -> float:
        """How many times our CPU time the peer takes, the best round of each."""
        return min(self.cpu_s[self.peer]) / min(self.cpu_s[gate.ours])

    def is_closed(self, gate: Gate) -> bool:
        return self.ratio(gate) < gate.least
