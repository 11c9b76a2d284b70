"""Route of the session: who looks at the gallery, and what they may do."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request, Response

from include.custom_labels.quotas import MAX_BOXES_PER_IMAGE, MAX_LABELS_PER_IMAGE
from include.gallery.addresses import MOUNT
from include.gallery.answers import answer
from include.gallery.guard import MAX_IMAGE_BYTES
from include.gallery.messages import ImportSource, Limits, Session
from include.gallery.services import Rights
from include.gallery.uploads import MAX_IMAGES

LIMITS = Limits(
    upload_images=MAX_IMAGES,
    upload_image_size_bytes=MAX_IMAGE_BYTES,
    labels_per_image=MAX_LABELS_PER_IMAGE.value,
    boxes_per_image=MAX_BOXES_PER_IMAGE.value,
)


def router(rights: Rights) -> APIRouter:
    """``GET /api/session``."""
    sources_of_caller = Depends(rights.sources)
    of_session = APIRouter(dependencies=[Depends(rights.read)])

    @of_session.get("/api/session")
    def session(
        request: Request,
        user: str = Depends(rights.user),
        can_edit: bool = Depends(rights.can_write),
        sources: list[ImportSource] = sources_of_caller,
    ) -> Response:
        airflow = request.scope.get("root_path", "").removesuffix(MOUNT) + "/"
        return answer(Session(user=user, can_edit=can_edit, airflow=airflow, sources=sources, limits=LIMITS))

    return of_session
