"""What people do: they label in the console, and move, replace and delete images and datasets."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from tests.fixtures.existing_datasets import boxed, entries_of, image_level, labels_of, make_dataset
from tests.fixtures.places import Place, picture
from tests.refreshes.imports import FOLDER

_numbers = count(1)


@dataclass(frozen=True)
class People:
    """People, and the folder that they keep their images in."""

    place: Place

    def ref(self, name: str) -> str:
        """The address of an image below the folder."""
        return f"s3://{self.place.images}/{FOLDER}{name}"

    # In the dataset.

    def label(self, name: str, *labels: str, dataset_type: str = "train") -> None:
        """Give an image these labels, and no others."""
        self.send(image_level(self.ref(name), *labels), dataset_type=dataset_type)

    def draw(self, name: str, label: str, *, left: int = 1) -> None:
        """Give an image one box."""
        self.send(boxed(self.ref(name), label, left=left))

    def send(self, *lines: Mapping[str, Any], dataset_type: str = "train", waits: bool = True) -> None:
        """Send entries to the dataset.

        :param waits: until the service has taken them
        """
        arn = str(self.place.dataset_arn(dataset_type.upper()))
        body = "\n".join(map(json.dumps, lines)).encode()
        self.place.rekognition.update_dataset_entries(DatasetArn=arn, Changes={"GroundTruth": body})
        if waits:
            assert self.place.wait_until_ready(arn)["Status"] == "UPDATE_COMPLETE"

    def delete_dataset(self, dataset_type: str = "train") -> None:
        self.place.rekognition.delete_dataset(DatasetArn=self.place.dataset_arn(dataset_type.upper()))
        self.await_deletion(dataset_type)

    def await_deletion(self, dataset_type: str = "train") -> None:
        """Wait until there is no dataset."""
        give_up = time.monotonic() + 30
        while self.place.dataset_arn(dataset_type.upper()) is not None:
            assert time.monotonic() < give_up
            time.sleep(0.01)

    def create_dataset(self, *lines: Mapping[str, Any]) -> str:
        """Make a dataset of these entries in the project, which exists."""
        return make_dataset(self.place, self.place.project, "train", lines)

    def said(self, dataset_type: str = "train") -> dict[str, set[str]]:
        """The labels of each entry, of the image and of its boxes, by the image's name below the folder."""
        return {name: labels_of(entry) for name, entry in self.entries(dataset_type).items()}

    def boxes(self, name: str) -> list[int]:
        """Where the boxes of an image begin, in pixels from the left."""
        members = self.entries().get(name, {}).values()
        boxes = [each["annotations"] for each in members if isinstance(each, dict) and "annotations" in each]
        return [box["left"] for attribute in boxes for box in attribute]

    def entries(self, dataset_type: str = "train") -> dict[str, dict[str, Any]]:
        """The dataset's entries, by the image's name below the folder."""
        found = entries_of(self.place, self.place.project, dataset_type)
        return {ref.removeprefix(self.ref("")): entry for ref, entry in found.items()}

    # In the folder.

    def put(self, *names: str, size: tuple[int, int] = (64, 64)) -> None:
        """Upload images that differ from all others."""
        for name in names:
            # What follows a picture's end is not looked at.
            self.put_body(name, picture(size=size) + f"{next(_numbers)}".encode())

    def put_body(self, name: str, body: bytes) -> None:
        self.place.s3.put_object(Bucket=self.place.images, Key=FOLDER + name, Body=body)

    def body(self, name: str) -> bytes:
        return self.place.read(self.ref(name))

    def copy(self, old: str, new: str) -> None:
        source = {"Bucket": self.place.images, "Key": FOLDER + old}
        self.place.s3.copy_object(Bucket=self.place.images, Key=FOLDER + new, CopySource=source)

    def move(self, moves: Mapping[str, str]) -> None:
        """Give images other names."""
        for old, new in moves.items():
            self.copy(old, new)
            self.delete(old)

    def delete(self, *names: str) -> None:
        for name in names:
            self.place.s3.delete_object(Bucket=self.place.images, Key=FOLDER + name)
