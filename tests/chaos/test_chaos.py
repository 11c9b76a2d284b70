"""A minute of random histories: the same ones each time, and others each time."""

from __future__ import annotations

import random
import time

import pytest

from tests.chaos.histories import draw_steps, stage
from tests.fixtures.local_aws import require_weed

SECONDS = 30.0


@pytest.mark.integration
@pytest.mark.parametrize("first", [20_261_122, random.SystemRandom().randrange(2**31)], ids=["fixed", "fresh"])
def test_no_history_breaks_a_promise(first: int) -> None:
    require_weed()
    print(f"seed {first}")
    with stage() as played:
        give_up = time.monotonic() + SECONDS
        number = 0
        while time.monotonic() < give_up:
            failure = played.play(first + number)
            assert failure is None, f"\n{failure}"
            number += 1
    print(played.tally)


def test_a_seed_gives_the_same_steps_again() -> None:
    assert draw_steps(7) == draw_steps(7) != draw_steps(8)
