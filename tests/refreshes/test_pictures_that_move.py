"""People's work follows the picture, wherever it lies."""

from __future__ import annotations

import pytest

from include.custom_labels.risks import Risk
from tests.refreshes.imports import Imports
from tests.refreshes.people import People

pytestmark = pytest.mark.integration


def test_a_renamed_folder_takes_peoples_work_along(registered: Imports, people: People) -> None:
    people.draw("echo/0.png", "speaker")
    people.label("echo/1.png", "echo plus")
    people.move({f"echo/{number}.png": f"echos/{number}.png" for number in range(4)})
    done = registered.run()
    assert people.said() == {
        "echos/0.png": {"speaker"},
        "echos/1.png": {"echo plus"},
        "echos/2.png": {"echos"},
        "echos/3.png": {"echos"},
        **{f"dot/{number}.png": {"dot"} for number in range(4)},
    }
    assert people.boxes("echos/0.png") == [1]
    assert (done.merged.moved, done.merged.removed.count, done.merged.work_removed.count) == (4, 0, 0)
    assert done.risks.keys() <= {Risk.NEW_LABELS, Risk.VANISHED_LABELS}
