"""Rekognition as the gallery uses it: its refusals are errors of the domain."""

from __future__ import annotations

from collections.abc import Callable
from unittest.mock import create_autospec

import pytest

from include.custom_labels.errors import AccessError
from include.pipelines.gallery_services import HookDatasets
from include.rekognition.errors import RekognitionResourceInUseError
from include.rekognition.hook import RekognitionHook

ARN = "arn:aws:rekognition:us-east-1:111122223333:project/example-devices/dataset/train/1"


@pytest.mark.parametrize(
    "ask",
    [
        lambda datasets: datasets.describe(ARN),
        lambda datasets: list(datasets.entries(ARN)),
        lambda datasets: datasets.find_entries(ARN, "s3://example-images/a.png"),
        lambda datasets: datasets.update(ARN, b"{}"),
    ],
)
def test_a_refusal_keeps_its_code(ask: Callable[[HookDatasets], object]) -> None:
    refusal = RekognitionResourceInUseError(detail="The dataset is busy.", resource=ARN)
    hook = create_autospec(RekognitionHook, instance=True)
    for method in (hook.describe_dataset, hook.iterate_dataset_entries, hook.update_dataset_entries):
        method.side_effect = refusal
    with pytest.raises(AccessError) as caught:
        ask(HookDatasets(hook))
    assert (caught.value.code, caught.value.message) == ("REKOGNITION_RESOURCE_IN_USE", "The dataset is busy.")
    assert caught.value.next_step == RekognitionResourceInUseError.next_step
    assert caught.value.__cause__ is refusal
