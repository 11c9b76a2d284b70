"""The pictures of `include.pipelines.samples`, as Airflow's API server reads them for the gallery.

A request names Dag, run and number. Everything else is the run's own, as its first task left it in XCom: through
which AWS connection S3 is asked is never the reader's choice. The API server gets Variables and connections through
the same Airflow SDK as a task does, straight from secrets backends and database.
"""

from __future__ import annotations

import time
from functools import lru_cache

import msgspec
from airflow.models.xcom import XCOM_RETURN_KEY, XComModel
from airflow.utils.session import create_session

from include.gallery.addresses import SampleAddress
from include.object_store.session import S3Session
from include.object_store.streams import read_bytes
from include.pipelines.runs import ImportRun, named_connection, s3_session

FIRST_TASK = "validate_request"

_SESSION_LIFETIME_S = 300


class RunSamples:
    """The gallery's `include.gallery.app.SampleStore`."""

    def read(self, address: SampleAddress) -> bytes | None:
        """The picture as it was stored; None where there is no such run or picture.

        :raises RequestError: WORKSPACE_NOT_SET, or CONNECTION_NOT_FOUND
        :raises AccessError: what S3 answers
        """
        run = find_run(address.dag_id, address.run_id)
        if run is None:
            return None
        session = _session(run.request.aws_conn_id, int(time.monotonic() // _SESSION_LIFETIME_S))
        found = read_bytes(session, run.sample_place(address))
        return found and found[0]


def find_run(dag_id: str, run_id: str) -> ImportRun | None:
    """The run as its first task described it; None where there is no such run of this project."""
    query = XComModel.get_many(
        run_id=run_id, key=XCOM_RETURN_KEY, task_ids=FIRST_TASK, dag_ids=dag_id, map_indexes=-1, limit=1
    )
    with create_session() as session:
        stored = session.scalars(query).first()
        value = None if stored is None else XComModel.deserialize_value(stored)
    try:
        run = msgspec.convert(value, ImportRun)
    except msgspec.ValidationError:
        # Another Dag may well have a task of this name.
        return None
    return run if (run.holder.dag_id, run.holder.run_id) == (dag_id, run_id) else None


@lru_cache(maxsize=16)
def _session(conn_id: str, _period: int) -> S3Session:
    """One session for a while: making a client of boto3 takes longer than reading a picture with it."""
    named_connection(conn_id)
    return s3_session(conn_id)
