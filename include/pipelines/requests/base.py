"""The import request: what the trigger form, the REST API, a backfill or a dataset's YAML file asks for.

One Struct a source states names, types, limits, defaults and the form's words. Airflow's form is made from it, and
the run's first task checks against it, so that the two cannot disagree. Airflow itself lets unknown keys of a run's
configuration pass; here they are errors.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Annotated, Any, Literal, Self

import msgspec
from airflow.sdk import Param
from msgspec import Meta

from include.custom_labels.errors import RequestError
from include.custom_labels.locations import S3FolderLocation, S3Uri
from include.custom_labels.quotas import MAX_PROJECT_NAME_LENGTH
from include.custom_labels.risks import Risk

DATASET, IMAGES, SPLIT, GATES, RUN = "Dataset", "Images", "Split", "Gates", "This run"
"""Sections of every form, in their order; a source need not have parameters in each."""

OneType = Literal["train", "test"]

RiskName = Literal[
    "REGISTERED_DATASET_GONE",
    "REMOVED_SHARE",
    "WORK_REMOVED",
    "WORK_OVERWRITTEN",
    "BOXES_ON_NEW_CONTENT",
    "NEW_LABELS",
    "VANISHED_LABELS",
    "LOOKALIKE_LABELS",
    "SUSPICIOUS_LABELS",
    "FAULTS_NEAR_LIMIT",
    "LABEL_OVERLAP",
    "QUOTA_NEAR",
    "LEAKAGE",
    "TEST_LABEL_TOO_LARGE",
]

PRESENT_FOR = timedelta(hours=24)
"""How late a run may begin that takes the bucket as it is for the bucket as of its time."""

MAX_WAIT_MINUTES = 24 * 60
"""The longest wait that a request may ask for: a run that waits longer than a day would meet its successor."""

CLOCK_SKEW = timedelta(minutes=1)
"""How far the clock of who asks for a time may be ahead of the worker's."""

_SECTIONS = (DATASET, IMAGES, SPLIT, GATES, RUN)


@dataclass(frozen=True, slots=True, kw_only=True)
class PastNeeds:
    """What a run as of the past needs besides, to rebuild a folder from the versions of its objects.

    :ivar history: where old versions are copied to; None where a run that has to copy one would fail
    :ivar accepts_unversioned: whether what is left will do where there are no versions
    """

    history: S3FolderLocation | None
    accepts_unversioned: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessNeeds:
    """What a source reads and writes in S3, besides the workspace.

    :ivar folder: a folder of images, which has to hold something
    :ivar objects: single objects to read, such as a manifest
    :ivar destinations: where images are written
    :ivar past: for a folder that is taken as it was at a time
    """

    folder: S3FolderLocation | None = None
    objects: tuple[S3Uri, ...] = ()
    destinations: tuple[S3FolderLocation, ...] = ()
    past: PastNeeds | None = None


class ImportRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="source"):
    """What every import source has in common; the subclass of a source is tagged with its name."""

    project: Annotated[
        str,
        Meta(
            title="Project",
            description="The Custom Labels project that gets the dataset; it is created when there is none.",
            pattern=rf"^[a-zA-Z0-9_.\-]{{1,{MAX_PROJECT_NAME_LENGTH.value}}}$(?!\n)",
            extra_json_schema={"section": DATASET},
        ),
    ] = "alexa-devices"
    dataset_type: Annotated[
        Literal["train", "test"],
        Meta(
            title="Dataset type",
            description="A project has one training and one test dataset.",
            extra_json_schema={"section": DATASET},
        ),
    ] = "train"
    human_edits: Annotated[
        Literal["keep", "overwrite"],
        Meta(
            title="Human edits",
            description=(
                "`keep`: labels and boxes that people made in the dataset win over the source, image by image. "
                "`overwrite`: the source wins; what gave way is in the snapshot."
            ),
            extra_json_schema={"section": GATES},
        ),
    ] = "keep"
    removals: Annotated[
        Literal["replace", "hold"],
        Meta(
            title="Removed images",
            description=(
                "Rekognition cannot remove entries. `replace`: the dataset is exported, deleted and created again "
                "without them. `hold`: they stay until a later run replaces the dataset."
            ),
            extra_json_schema={"section": GATES},
        ),
    ] = "replace"
    max_removed_percent: Annotated[
        float,
        Meta(
            title="Most removed images, in percent",
            description="More than this share of the dataset's images removed is a risk.",
            ge=0,
            le=100,
            extra_json_schema={"section": GATES},
        ),
    ] = 10.0
    approval: Annotated[
        Literal["never", "on_risk", "always"],
        Meta(
            title="Approval",
            description=(
                "`on_risk`: a run with risks waits for a person in Required Actions. `always`: every run that would "
                "change the dataset waits. `never`: a run with risks fails."
            ),
            extra_json_schema={"section": GATES},
        ),
    ] = "on_risk"
    accept_risks: Annotated[
        list[RiskName],
        Meta(
            title="Accepted risks",
            description="Risks that need no approval. What each means: `docs/error-codes.md`, Risks.",
            extra_json_schema={"section": GATES, "examples": [risk.value for risk in Risk]},
        ),
    ] = msgspec.field(default_factory=list)
    max_wait_minutes: Annotated[
        int,
        Meta(
            title="Maximum wait (minutes)",
            description=(
                "How long a run waits for another run, a person's save or a busy dataset before it fails; it takes "
                "no worker meanwhile. `0`: it fails at once."
            ),
            ge=0,
            le=MAX_WAIT_MINUTES,
            extra_json_schema={"section": GATES},
        ),
    ] = 60
    register: Annotated[
        bool,
        Meta(
            title="Register with Amazon Rekognition",
            description="Off: build and validate the manifest, and leave the project as it is.",
            extra_json_schema={"section": RUN},
        ),
    ] = True
    as_of: Annotated[
        Annotated[datetime, Meta(tz=True)] | None,
        Meta(
            title="As of",
            description=(
                "Import as of this time: an S3 folder of a versioned bucket is rebuilt as it was then, and elsewhere "
                "what was written later is skipped, and the ledger says so. A time that is not over is refused. Empty: "
                "the end of the run's data interval, else its logical date, else the time of the trigger."
            ),
            extra_json_schema={"section": RUN},
        ),
    ] = None
    aws_conn_id: Annotated[
        str,
        Meta(
            title="AWS connection",
            description="The Airflow connection for Amazon S3 and Amazon Rekognition, with the Region to use.",
            min_length=1,
            extra_json_schema={"section": RUN},
        ),
    ] = "aws_default"

    @classmethod
    def parse(cls, params: Mapping[str, Any]) -> Self:
        """Check a run's parameters.

        :raises RequestError: UNKNOWN_PARAMETER, INVALID_PARAMETER or INVALID_S3_LOCATION
        """
        known = cls.__struct_fields__
        unknown = sorted(set(params) - set(known))
        if unknown:
            raise RequestError(
                "UNKNOWN_PARAMETER",
                f"There is no parameter {', '.join(map(repr, unknown))}.",
                f"The parameters are {', '.join(known)}.",
                unknown=unknown,
            )
        try:
            request = msgspec.convert({**params, "source": cls.__struct_config__.tag}, cls)
        except msgspec.ValidationError as error:
            raise RequestError(
                "INVALID_PARAMETER",
                f"{error}.",
                "Correct the parameter and trigger again; its form says what it takes.",
            ) from error
        request.check()
        return request

    def check(self) -> None:
        """What a type cannot say about a request.

        :raises RequestError: with a code for each
        """

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of what the source lets people set."""
        return self.__struct_fields__

    @property
    def needs(self) -> AccessNeeds:
        """What the access check has to try."""
        return AccessNeeds()

    def past_needs(self, workspace: S3FolderLocation) -> AccessNeeds:
        """The same for a run as of the past (`is_past_run`)."""
        return self.needs

    @property
    def dataset_types(self) -> tuple[OneType, ...]:
        """The types of dataset that are asked for."""
        return (self.dataset_type,)

    @property
    def images_folder(self) -> S3FolderLocation | None:
        """The one folder that the images of the dataset lie in by this request; None where it names none."""
        return None

    @property
    def keeps_invalid_lines(self) -> bool:
        """Whether lines that training cannot use are sent all the same, as far as Rekognition takes them."""
        return False

    def to_json(self) -> dict[str, Any]:
        """The request as plain JSON, for XCom."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain


def form(
    request_type: type[ImportRequest], values: Mapping[str, Any] | None = None, *, fixed: Collection[str] = ()
) -> dict[str, Param]:
    """The trigger form of an import source, in the order of its sections.

    :param values: plain JSON by parameter, in place of the request's own defaults
    :param fixed: parameters that have no choice but their value
    """
    given = values or {}
    params: dict[str, Param] = {}
    for name, default, words in _parameters(request_type):
        value = given[name] if name in given else deepcopy(default)
        params[name] = Param(value, **(words | {"enum": [value]} if name in fixed else words))
    return params


# Hundreds of Dags have forms of the same four requests.
@cache
def _parameters(request_type: type[ImportRequest]) -> tuple[tuple[str, Any, dict[str, Any]], ...]:
    """Name, default and the form's words of each parameter, in the order of the sections."""
    return tuple(sorted(_described(request_type), key=lambda parameter: _SECTIONS.index(parameter[2]["section"])))


def _described(request_type: type[ImportRequest]) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    (schema,), definitions = msgspec.json.schema_components([request_type], ref_template="{name}")
    properties = definitions[schema["$ref"]]["properties"]
    for name, field_schema in properties.items():
        if name == "source":
            continue
        words = dict(field_schema)
        default = words.pop("default")
        alternatives = words.pop("anyOf", None)
        if alternatives:
            # Airflow's form knows an optional field as a list of types.
            words |= {key: value for choice in alternatives for key, value in choice.items()}
            words["type"] = [choice["type"] for choice in reversed(alternatives)]
        elif "enum" in words:
            words["type"] = "string"
        words["description_md"] = words.pop("description")
        yield name, default, words


def run_as_of(request: ImportRequest, context: Mapping[str, Any], now: datetime) -> datetime:
    """The time that a run is as of: the parameter, else the end of its data interval, its logical date, its start.

    A run that is triggered over the REST API may have neither interval nor logical date; these keys are then absent.
    A dataset that were registered as of a time to come would let no scheduled run register until then. Nobody means
    that by the date of a run, which is taken for now; who asks for it with `as_of` is told.

    :param context: the task's context, or any mapping with the same keys
    :param now: the moment at which the run begins
    :returns: UTC, without fractions of a second, and not after ``now``
    :raises RequestError: AS_OF_IN_FUTURE
    """
    if request.as_of is not None and request.as_of > now + CLOCK_SKEW:
        raise RequestError(
            "AS_OF_IN_FUTURE",
            f"`as_of` is {request.as_of.isoformat()}, which is not over: it is {now.isoformat(timespec='seconds')}.",
            "Leave `as_of` empty to import what is there now, or give a time that is over.",
            as_of=request.as_of.isoformat(),
        )
    chosen = (
        request.as_of or context.get("data_interval_end") or context.get("logical_date") or context["dag_run"].run_after
    )
    return datetime.fromtimestamp(int(min(chosen, now).timestamp()), UTC)


def is_past_run(request: ImportRequest, run_type: str, as_of: datetime, now: datetime) -> bool:
    """Whether a run is about the bucket as it was, and not about the bucket as it is.

    That is so where somebody asked for a time that is over: with `as_of`, or with a backfill. A scheduled or triggered
    run takes the bucket as it is, unless it comes more than `PRESENT_FOR` late.

    :param run_type: Airflow's, such as ``manual``, ``scheduled`` or ``backfill``
    :param now: the moment at which the run begins
    """
    is_asked_for = request.as_of is not None or run_type == "backfill"
    return as_of < now and (is_asked_for or now - as_of > PRESENT_FOR)


def run_slug(run_id: str) -> str:
    """The run's id as one folder name."""
    return re.sub(r"[^0-9A-Za-z_.\-]+", "-", run_id)
