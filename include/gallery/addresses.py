"""Where the gallery's pages are, for those who link to them; free of any web framework."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import quote

MOUNT: Final = "/custom-labels"
"""The path below Airflow's own address at which the gallery is mounted."""

PAGES: Final = f"{MOUNT}/".lstrip("/")
"""The pages, relative to Airflow's own address; without its last slash, Airflow would answer with its own page."""

RUN_PAGE: Final = f"{PAGES}#/runs/{{DAG_ID}}/{{RUN_ID}}"
"""The page of a Dag run, for Airflow to put its ids into."""

SAMPLES: Final = "/samples"

MAX_SAMPLES: Final = 12
"""Pictures that one question for approval may show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleAddress:
    """One of the pictures that a run shows to the person whom it asks for approval.

    The Dag is a part of the path by itself, so that the right to see it can be checked before anything is read.

    :ivar number: from 0
    """

    dag_id: str
    run_id: str
    dataset_type: Literal["train", "test"]
    number: int

    @property
    def url(self) -> str:
        """Relative to Airflow's own address, which its pages name as their base, whatever path it has."""
        parts = (self.dag_id, self.run_id, self.dataset_type, str(self.number))
        return f"{MOUNT}{SAMPLES}/{'/'.join(quote(part, safe='') for part in parts)}".lstrip("/")
