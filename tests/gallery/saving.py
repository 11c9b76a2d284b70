"""The part of the gallery that saves, over a dataset of a test's own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
from fastapi import FastAPI

from demo.processes import wait_until
from include.custom_labels.history import image_id
from include.gallery.catalog import seen_of
from include.gallery.datasets import Datasets
from include.gallery.guard import WriteLimits
from include.gallery.messages import Box, Save, Waiting
from include.gallery.routes.saves import router
from include.gallery.saves import Saves
from include.gallery.snapshots import DatasetName
from include.object_store.holders import Holder
from include.object_store.registration_journal import HeldJournal
from tests.fixtures.existing_datasets import entries_of, labels_of
from tests.fixtures.places import Place
from tests.gallery.placed_services import PlacedServices
from tests.gallery.visitors import EDITOR, ORIGIN, RIGHTS, WRITE, gallery_of

HOSTILE_KEY = "c/<img src=x onerror=alert(1)>.png"


class Clock:
    """The time, which may jump."""

    def __init__(self) -> None:
        self._passed = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self._passed

    def passes(self, time: timedelta) -> None:
        self._passed += time


class Gallery:
    """The part of the gallery that saves."""

    def __init__(self, place: Place, folder: Path, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.place = place
        self.services = PlacedServices(place)
        self.datasets = Datasets(self.services, folder)
        self.saves = Saves(self.datasets, now)
        self.app: FastAPI = gallery_of(router(RIGHTS, self.saves, WriteLimits(RIGHTS)))
        self.name = DatasetName(project=place.project, dataset_type="train")
        self.path = f"/api/datasets/{place.project}/train/saves"

    @property
    def folder(self) -> Any:
        return self.services.workspace().dataset(self.place.project, "train")

    def ref(self, key: str) -> str:
        return f"s3://{self.place.images}/{key}"

    def ids(self, *keys: str) -> list[str]:
        return [image_id(self.ref(key)) for key in keys]

    def entries(self) -> dict[str, dict[str, Any]]:
        head = len(self.ref(""))
        found = entries_of(self.place, self.place.project, "train")
        return {source_ref[head:]: line for source_ref, line in found.items()}

    def said(self) -> dict[str, set[str]]:
        return {key: labels_of(line) for key, line in self.entries().items()}

    def seen(self, key: str) -> str:
        return seen_of(json.dumps(self.entries()[key]).encode())

    def redrawing(self, key: str, labels: Iterable[str] = (), *boxes: Box, **more: Any) -> dict[str, Any]:
        drawn = [msgspec.to_builtins(box) for box in boxes]
        seen = more.pop("seen", None) or self.seen(key)
        return {
            "kind": "redrawing",
            "id": self.ids(key)[0],
            "seen": seen,
            "labels": list(labels),
            "boxes": drawn,
            **more,
        }

    @asynccontextmanager
    async def visited(self, headers: dict[str, str] = EDITOR) -> AsyncIterator[httpx.AsyncClient]:
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers=WRITE | headers) as client:
            yield client

    async def save(self, *edits: dict[str, Any]) -> Save:
        """The save, once it is over."""
        async with self.visited() as client:
            return await self.ended(client, await self.begun(client, *edits))

    async def ended(self, client: httpx.AsyncClient, save_id: str) -> Save:
        return await self.until(client, save_id, lambda save: save.state in ("saved", "failed"))

    async def waits(self, client: httpx.AsyncClient, save_id: str) -> Waiting:
        """What the save waits for, once it does."""
        save = await self.until(client, save_id, lambda save: save.state != "reading")
        assert save.waiting is not None, save
        return save.waiting

    async def until(self, client: httpx.AsyncClient, save_id: str, condition: Callable[[Save], bool]) -> Save:
        async with asyncio.timeout(30):
            while True:
                found = msgspec.json.decode((await client.get(f"{self.path}/{save_id}")).content, type=Save)
                if condition(found):
                    return found
                await asyncio.sleep(0.02)

    async def begun(self, client: httpx.AsyncClient, *edits: dict[str, Any]) -> str:
        """The id of a save that has begun."""
        answer = await client.post(self.path, json={"edits": list(edits)})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["save_id"])

    def held_by(self, holder: Holder) -> HeldJournal:
        """The dataset's lease in the hands of somebody else."""
        return HeldJournal.take(
            self.services.s3(), self.folder, holder, now=datetime.now(UTC), has_ended=lambda _: False
        )

    def person_edits(self, *lines: dict[str, Any], waits: bool = True) -> None:
        """Somebody changes entries in the console."""
        arn = str(self.place.dataset_arn())
        changes = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        self.place.rekognition.update_dataset_entries(DatasetArn=arn, Changes={"GroundTruth": changes})
        if waits:
            self.place.wait_until_ready(arn)

    def before(self, save: Save) -> dict[str, set[str]]:
        """What the save's record says of the entries before."""
        head = len(self.ref(""))
        lines = [json.loads(line) for line in self.place.read(save.record).splitlines()]
        assert len({line["source-ref"] for line in lines}) == len(lines)
        return {line["source-ref"][head:]: labels_of(line) for line in lines}

    def shown(self) -> dict[str, set[str]]:
        """What the gallery takes the dataset's entries for, once it says that they are current."""
        self.datasets.live(self.name).ensure_current(20)
        assert wait_until(lambda: not self.datasets.shown(self.name).is_outdated, deadline_s=20, interval_s=0.05)
        found = self.datasets.catalog(self.name).find(self.ids(*self.entries()))
        return {image.key: labels_of(json.loads(image.line or b"{}")) for image in found}


def assigned(ids: list[str], *labels: str, remove: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"kind": "assignment", "ids": ids, "assign": list(labels), "remove": list(remove)}


def box(label: str, left: float = 1, top: float = 2, width: float = 30, height: float = 40) -> Box:
    return Box(label=label, left=left, top=top, width=width, height=height)
