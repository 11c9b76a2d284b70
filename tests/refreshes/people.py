"""What people do: they label in the console, and move, replace and delete images and datasets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.fixtures.existing_datasets import boxed, entries_of, image_level, labels_of
from tests.fixtures.places import Place, picture
from tests.refreshes.imports import FOLDER


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

    def delete_dataset(self) -> None:
        arn = str(self.place.dataset_arn())
        self.place.rekognition.delete_dataset(DatasetArn=arn)
        waiter_config = {"Delay": 0, "MaxAttempts": 400}
        self.wait_until_gone(arn, waiter_config["MaxAttempts"])

    def wait_until_gone(self, arn: str, attempts: int) -> None:
        for _ in range(attempts):
            if self.place.dataset_arn() != arn:
                return
        raise AssertionError(f"{arn} is still there")

    def said(self, dataset_type: str = "train") -> dict[str, set[str]]:
        """The labels of each entry, of the image and of its boxes, by the image's name below the folder."""
        return {name: labels_of(entry) for name, entry in self.entries(dataset_type).items()}

    def boxes(self, name: str) -> list[int]:
        """Where the boxes of an image begin, in pixels from the left."""
        annotations = self.entries().get(name, {}).get("bounding-box", {}).get("annotations", [])
        return [each["left"] for each in annotations]

    def entries(self, dataset_type: str = "train") -> dict[str, dict[str, Any]]:
        """The dataset's entries, by the image's name below the folder."""
        found = entries_of(self.place, self.place.project, dataset_type)
        return {ref.removeprefix(self.ref("")): entry for ref, entry in found.items()}

    # In the folder.

    def put(self, *names: str, size: tuple[int, int] = (64, 64)) -> None:
        """Upload images that differ from all others."""
        for name in names:
            body = picture(size=size) + name.encode()
            self.place.s3.put_object(Bucket=self.place.images, Key=FOLDER + name, Body=body)

    def move(self, moves: Mapping[str, str]) -> None:
        """Give images other names."""
        for old, new in moves.items():
            source = {"Bucket": self.place.images, "Key": FOLDER + old}
            self.place.s3.copy_object(Bucket=self.place.images, Key=FOLDER + new, CopySource=source)
        self.delete(*moves)

    def delete(self, *names: str) -> None:
        for name in names:
            self.place.s3.delete_object(Bucket=self.place.images, Key=FOLDER + name)
