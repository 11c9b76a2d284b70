"""Makes the pool of the tasks that call Rekognition when one of Airflow's services starts, where it is missing.

A listener of Airflow's: a task whose pool is missing would wait for ever, and nobody has to know of this one.
A pool that is there is left as it is, so that its size can be changed.
"""

from __future__ import annotations

import logging

from airflow.listeners import hookimpl

log = logging.getLogger(__name__)


@hookimpl
def on_starting(component: object) -> None:
    """Called by the scheduler, triggerer and Dag processor, which have the database, and by tasks, which have not."""
    if (type(component).__module__, type(component).__name__) == ("airflow.jobs.job", "Job"):
        ensure_pool()


def ensure_pool() -> None:
    """Make the pool unless there is one of that name."""
    # Task processes load this module as well; none of this is for them.
    from airflow.models.pool import Pool
    from airflow.utils.session import create_session
    from sqlalchemy.exc import IntegrityError

    from include.rekognition.pool import POOL, POOL_DESCRIPTION, POOL_SLOTS

    try:
        with create_session() as session:
            if Pool.get_pool(POOL, session=session) is not None:
                return
            # Deferred tasks keep their slots: the triggerer asks for their datasets' status.
            session.add(Pool(pool=POOL, slots=POOL_SLOTS, description=POOL_DESCRIPTION, include_deferred=True))
    except IntegrityError:
        # Another service that starts at the same time has made it.
        log.info("The pool %s was made by another service.", POOL)
    else:
        log.info("Made the pool %s with %s slots.", POOL, POOL_SLOTS)
