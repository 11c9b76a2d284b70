"""Images whose bytes are replaced under what people drew on them."""

from __future__ import annotations

import pytest

from include.custom_labels.risks import Risk
from tests.refreshes.imports import Imports, refused
from tests.refreshes.people import People

pytestmark = pytest.mark.integration


def test_boxes_on_overwritten_images_stay_and_are_a_risk_with_a_number(registered: Imports, people: People) -> None:
    people.draw("echo/0.png", "echo", left=7)
    people.draw("echo/1.png", "echo", left=7)
    people.label("dot/0.png", "polka dot")
    people.put("echo/0.png", "echo/1.png", "dot/0.png")
    with refused("RISKS_FOUND") as caught:
        registered.run(approval="never")
    assert caught.value.details["risks"] == [Risk.BOXES_ON_NEW_CONTENT]
    done = registered.run()
    assert (done.action, done.risks) == ("unchanged", {Risk.BOXES_ON_NEW_CONTENT: 2})
    assert people.boxes("echo/0.png") == [7]
    people.put("echo/new.png")
    assert registered.run().risks == {}


def test_boxes_that_do_not_fit_are_held_until_a_picture_comes_that_they_fit(
    registered: Imports, people: People
) -> None:
    people.draw("echo/0.png", "echo", left=7)
    people.put("echo/0.png", size=(80, 80))
    held = registered.run(removals="hold", approval="never")
    assert held.merged.totals["misfit"] == 1
    assert people.boxes("echo/0.png") == [7]
    people.put("echo/0.png")
    done = registered.run()
    assert done.merged.totals["kept"] == 1
    assert done.risks == {Risk.BOXES_ON_NEW_CONTENT: 1}
    assert people.boxes("echo/0.png") == [7]
