"""Who looks at the gallery, and what they are told that they may do."""

from __future__ import annotations

import pytest
from fastapi import FastAPI

from include.gallery.routes.session import router
from tests.gallery.visitors import ANONYMOUS, EDITOR, RIGHTS, VIEWER, WRITE, gallery_of, visiting


@pytest.mark.parametrize(("headers", "status"), [(ANONYMOUS, 401), ({"authorization": "stranger"}, 403)])
async def test_strangers_are_told_nothing(headers: dict[str, str], status: int) -> None:
    async with visiting(gallery_of(router(RIGHTS)), **headers) as client:
        assert (await client.get("/api/session")).status_code == status


@pytest.mark.parametrize(("headers", "can_edit"), [(VIEWER, False), (EDITOR, True)])
@pytest.mark.parametrize(("mount", "airflow"), [("/custom-labels", "/"), ("/airflow/custom-labels", "/airflow/")])
async def test_people_are_told_what_they_may_do(
    headers: dict[str, str], can_edit: bool, mount: str, airflow: str
) -> None:
    outer = FastAPI()
    outer.mount(mount, gallery_of(router(RIGHTS)))
    async with visiting(outer, **headers) as client:
        answer = (await client.get(f"{mount}/api/session")).json()
    assert (answer["user"], answer["can_edit"], answer["airflow"]) == (headers["authorization"], can_edit, airflow)
    assert [source["dag_id"] for source in answer["sources"]] == (["import_s3_folder"] if can_edit else [])
    assert answer["limits"] == {
        "upload_images": 30,
        "upload_image_size_bytes": 15 * 1024**2,
        "edits": 5000,
        "labels_per_dataset": 250,
        "labels_per_image": 50,
        "boxes_per_image": 50,
    }


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_a_session_is_only_read(method: str) -> None:
    async with visiting(gallery_of(router(RIGHTS)), **EDITOR) as client:
        assert (await client.request(method, "/api/session", headers=WRITE)).status_code == 405
