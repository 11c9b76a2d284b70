"""Images whose bytes are replaced under what people drew on them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from include.custom_labels.risks import Risk
from tests.fixtures.places import end_of_second
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


@pytest.mark.parametrize(
    ("act", "is_told"),
    [
        (lambda people: people.put_body("echo/0.png", b"no picture"), False),
        (lambda people: people.put("echo/0.png", size=(80, 80)), False),
        (lambda people: people.delete("echo/0.png"), False),
        (lambda people: people.put("echo/0.png"), True),
    ],
    ids=["damaged", "another size", "gone", "another picture"],
)
@pytest.mark.parametrize("registers_between", [False, True])
def test_the_bytes_that_boxes_were_drawn_on_are_no_new_content(
    registered: Imports, people: People, act: Callable[[People], None], is_told: bool, registers_between: bool
) -> None:
    people.draw("echo/0.png", "echo", left=7)
    if registers_between:
        registered.run()
    body = people.body("echo/0.png")
    act(people)
    assert (Risk.BOXES_ON_NEW_CONTENT in registered.run().risks) is is_told
    people.put_body("echo/0.png", body)
    done = registered.run()
    assert (people.boxes("echo/0.png"), done.risks) == ([7], {})


def test_boxes_on_an_image_that_is_newer_than_a_run_are_a_risk_of_the_run_that_takes_it(
    registered: Imports, people: People
) -> None:
    people.draw("echo/0.png", "echo", left=7)
    registered.run()
    earlier = end_of_second()
    people.put("echo/0.png")
    registered.run(as_of=earlier.isoformat(), unversioned="accept")
    assert people.boxes("echo/0.png") == [7]
    assert registered.run().risks == {Risk.BOXES_ON_NEW_CONTENT: 1}
    assert people.boxes("echo/0.png") == [7]
    people.put("echo/new.png")
    assert registered.run().risks == {}


def test_boxes_that_are_drawn_again_are_of_the_picture_that_is_there(registered: Imports, people: People) -> None:
    people.draw("echo/0.png", "echo", left=7)
    body = people.body("echo/0.png")
    people.put("echo/0.png")
    assert registered.run().risks == {Risk.BOXES_ON_NEW_CONTENT: 1}
    people.draw("echo/0.png", "echo", left=9)
    assert registered.run().risks == {}
    people.put_body("echo/0.png", body)
    assert registered.run().risks == {Risk.BOXES_ON_NEW_CONTENT: 1}


def test_boxes_that_return_to_another_picture_are_a_risk(registered: Imports, people: People) -> None:
    people.draw("echo/0.png", "echo", left=7)
    people.delete("echo/0.png")
    registered.run()
    people.put("echo/0.png")
    done = registered.run()
    assert (people.boxes("echo/0.png"), done.risks) == ([7], {Risk.BOXES_ON_NEW_CONTENT: 1})
