"""The operations, each from a checked request to a response."""

from __future__ import annotations

import base64
import hmac
import re
import sqlite3
import time
from collections.abc import Callable
from hashlib import blake2b
from typing import Any, Final

import msgspec

from include.local_aws.configuration import Settings
from include.local_aws.errors import ServiceError
from include.local_aws.faults import FaultPlan
from include.local_aws.lifecycle import Lifecycle
from include.local_aws.object_reader import ObjectReader, ObjectStoreUnavailableError
from include.local_aws.quotas import PROJECTS_MAX, TAGS_MAX
from include.local_aws.signatures import Caller
from include.local_aws.store import Store

_ARN: Final = re.compile(
    r"arn:aws:rekognition:(?P<region>[a-z\d-]+):(?P<account>\d{12}):project/(?P<project>[a-zA-Z0-9_.\-]{1,255})"
    r"(?:/dataset/(?P<type>train|test))?/(?P<created_ms>\d+)",
    re.ASCII,
)
_PAGE_MAX: Final = 100
# Keeps clients from making up page tokens; it protects nothing.
_TOKEN_KEY: Final = b"local-aws page tokens"

_Request = dict[str, Any]
_Response = dict[str, Any]


class DatasetService:
    """Rekognition's project and dataset operations for every account and Region."""

    def __init__(
        self, store: Store, reader: ObjectReader, lifecycle: Lifecycle, faults: FaultPlan, settings: Settings
    ) -> None:
        self._store = store
        self._reader = reader
        self._lifecycle = lifecycle
        self._faults = faults
        self._settings = settings

    def call(self, operation: str, caller: Caller, request: _Request) -> _Response:
        """Answer a request that keeps the model's constraints.

        Raises:
            ServiceError: a refusal, as the operation declares it.
        """
        handler = _HANDLERS.get(operation)
        if handler is None:
            raise ServiceError("UnknownOperationException", f"{operation} is not imitated on this machine.")
        return handler(self, caller, request)

    # Projects

    def create_project(self, caller: Caller, request: _Request) -> _Response:
        feature = request.get("Feature", "CUSTOM_LABELS")
        if "AutoUpdate" in request and feature == "CUSTOM_LABELS":
            raise ServiceError("InvalidParameterException", "AutoUpdate is for CONTENT_MODERATION projects only.")
        with self._store.writing() as db:
            names = {
                row["name"]
                for row in db.execute(
                    "SELECT name FROM projects WHERE account = ? AND region = ?", (caller.account, caller.region)
                )
            }
            if request["ProjectName"] in names:
                raise ServiceError("ResourceInUseException", f"A project {request['ProjectName']} exists already.")
            if len(names) >= PROJECTS_MAX:
                raise ServiceError("LimitExceededException", f"An account has at most {PROJECTS_MAX} projects.")
            created_ms = self._store.now_ms()
            db.execute(
                "INSERT INTO projects (account, region, name, created_ms, feature, auto_update)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (caller.account, caller.region, request["ProjectName"], created_ms, feature, request.get("AutoUpdate")),
            )
            arn = f"{_arn_prefix(caller)}{request['ProjectName']}/{created_ms}"
            _write_tags(db, arn, request.get("Tags", {}))
        return {"ProjectArn": arn}

    def describe_projects(self, caller: Caller, request: _Request) -> _Response:
        names, features = request.get("ProjectNames"), request.get("Features", ["CUSTOM_LABELS"])
        page = _Page(request, "projects", caller.account, caller.region, names, features)
        with self._store.reading() as db:
            rows = db.execute(
                "SELECT * FROM projects WHERE account = :account AND region = :region AND id > :after"
                " AND (:names IS NULL OR name IN (SELECT value FROM json_each(:names)))"
                " AND feature IN (SELECT value FROM json_each(:features)) ORDER BY id LIMIT :limit",
                {
                    "account": caller.account,
                    "region": caller.region,
                    "after": page.after(0),
                    "names": None if names is None else _json(names),
                    "features": _json(features),
                    "limit": page.size + 1,
                },
            ).fetchall()
            shown, token = page.cut(rows, "id")
            descriptions = [self._project_description(db, caller, row) for row in shown]
        return {"ProjectDescriptions": descriptions} | token

    def _project_description(self, db: sqlite3.Connection, caller: Caller, project: sqlite3.Row) -> _Response:
        datasets = db.execute("SELECT * FROM datasets WHERE project_id = ? ORDER BY type DESC", (project["id"],))
        return {
            "ProjectArn": f"{_arn_prefix(caller)}{project['name']}/{project['created_ms']}",
            "CreationTimestamp": project["created_ms"] / 1000,
            "Status": self._project_status(project),
            "Datasets": [
                {
                    "CreationTimestamp": dataset["created_ms"] / 1000,
                    "DatasetType": dataset["type"],
                    "DatasetArn": _dataset_arn(caller, project["name"], dataset),
                    **_status(dataset),
                }
                for dataset in datasets
            ],
            "Feature": project["feature"],
            **({"AutoUpdate": project["auto_update"]} if project["auto_update"] else {}),
        }

    def _project_status(self, project: sqlite3.Row) -> str:
        if project["deleting"]:
            return "DELETING"
        ready_ms = project["created_ms"] + self._settings.status_delay_s * 1000
        return "CREATED" if time.time() * 1000 >= ready_ms else "CREATING"

    def delete_project(self, caller: Caller, request: _Request) -> _Response:
        with self._store.writing() as db:
            project = _project(db, caller, request["ProjectArn"])
            if project["deleting"]:
                raise ServiceError("ResourceInUseException", "The project is being deleted already.")
            if db.execute("SELECT 1 FROM datasets WHERE project_id = ?", (project["id"],)).fetchone():
                raise ServiceError("ResourceInUseException", "The project has datasets. Delete them first.")
            db.execute("UPDATE projects SET deleting = 1 WHERE id = ?", (project["id"],))
            db.execute("DELETE FROM tags WHERE arn = ?", (request["ProjectArn"],))
            job = self._add_job(db, "delete_project", project_id=project["id"])
        self._lifecycle.run(job)
        return {"Status": "DELETING"}

    # Datasets

    def create_dataset(self, caller: Caller, request: _Request) -> _Response:
        source = request.get("DatasetSource")
        s3_object = self._checked_source(caller, source)
        with self._store.writing() as db:
            project = _project(db, caller, request["ProjectArn"])
            if project["deleting"]:
                raise ServiceError("ResourceNotFoundException", "The project is being deleted.")
            if db.execute(
                "SELECT 1 FROM datasets WHERE project_id = ? AND type = ?", (project["id"], request["DatasetType"])
            ).fetchone():
                raise ServiceError(
                    "ResourceAlreadyExistsException",
                    f"The project has a {request['DatasetType'].lower()} dataset already. Delete it first.",
                )
            now_ms = self._store.now_ms()
            dataset_id = db.execute(
                "INSERT INTO datasets (project_id, type, created_ms, updated_ms, status)"
                " VALUES (?, ?, ?, ?, 'CREATE_IN_PROGRESS')",
                (project["id"], request["DatasetType"], now_ms, now_ms),
            ).lastrowid
            if source is not None and "DatasetArn" in source:
                _copy_entries(db, _readable_dataset(db, caller, source["DatasetArn"]), dataset_id)
            dataset = db.execute("SELECT * FROM datasets WHERE id = ?", (dataset_id,)).fetchone()
            arn = _dataset_arn(caller, project["name"], dataset)
            _write_tags(db, arn, request.get("Tags", {}))
            job = self._add_job(
                db,
                "create",
                operation="CreateDataset",
                project_id=project["id"],
                dataset_id=dataset_id,
                bucket=s3_object.get("Bucket"),
                object_key=s3_object.get("Name"),
                version=s3_object.get("Version"),
            )
        self._lifecycle.run(job)
        return {"DatasetArn": arn}

    def _checked_source(self, caller: Caller, source: _Request | None) -> _Request:
        """The manifest's S3Object, checked as far as a bucket tells; empty when there is none."""
        if source is None:
            return {}
        if len(source) != 1:
            raise ServiceError(
                "InvalidParameterException", "DatasetSource takes either a GroundTruthManifest or a DatasetArn."
            )
        if "DatasetArn" in source:
            return {}
        s3_object: _Request = source["GroundTruthManifest"].get("S3Object", {})
        if "Bucket" not in s3_object or "Name" not in s3_object:
            raise ServiceError("InvalidParameterException", "GroundTruthManifest needs S3Object's Bucket and Name.")
        try:
            bucket = self._reader.bucket_facts(s3_object["Bucket"])
        except ObjectStoreUnavailableError as error:
            raise ServiceError("InternalServerError", f"S3 cannot be reached: {error}") from error
        if bucket is not None and bucket.region not in (None, caller.region):
            raise ServiceError(
                "InvalidS3ObjectException",
                f"The bucket {s3_object['Bucket']} is in {bucket.region}, not in {caller.region}.",
            )
        if bucket is not None and bucket.owner not in (None, caller.account):
            raise ServiceError(
                "InvalidS3ObjectException", f"The bucket {s3_object['Bucket']} belongs to another account."
            )
        return s3_object

    def describe_dataset(self, caller: Caller, request: _Request) -> _Response:
        with self._store.reading() as db:
            dataset = _dataset(db, caller, request["DatasetArn"])
        return {
            "DatasetDescription": {
                "CreationTimestamp": dataset["created_ms"] / 1000,
                "LastUpdatedTimestamp": dataset["updated_ms"] / 1000,
                **_status(dataset),
                "DatasetStats": {
                    "LabeledEntries": dataset["labeled_entries"],
                    "TotalEntries": dataset["total_entries"],
                    "TotalLabels": dataset["total_labels"],
                    "ErrorEntries": dataset["error_entries"],
                },
            }
        }

    def list_dataset_entries(self, caller: Caller, request: _Request) -> _Response:
        filters = {name: request.get(name) for name in ("ContainsLabels", "Labeled", "SourceRefContains", "HasErrors")}
        page = _Page(request, "entries", request["DatasetArn"], filters)
        labels = filters["ContainsLabels"]
        with self._store.reading() as db:
            dataset = _listable(_dataset(db, caller, request["DatasetArn"]))
            rows = db.execute(
                "SELECT position, line FROM entries WHERE dataset_id = :dataset AND position > :after"
                " AND (:labeled IS NULL OR labeled = :labeled)"
                " AND (:has_errors IS NULL OR has_errors = :has_errors)"
                " AND (:contained IS NULL OR instr(source_ref, :contained))"
                " AND (:labels IS NULL OR EXISTS ("
                "   SELECT 1 FROM labels WHERE labels.dataset_id = :dataset AND labels.position = entries.position"
                "   AND name IN (SELECT value FROM json_each(:labels))))"
                " ORDER BY position LIMIT :limit",
                {
                    "dataset": dataset["id"],
                    "after": page.after(-1),
                    "labeled": filters["Labeled"],
                    "has_errors": filters["HasErrors"],
                    "contained": filters["SourceRefContains"],
                    "labels": None if labels is None else _json(labels),
                    "limit": page.size + 1,
                },
            ).fetchall()
        shown, token = page.cut(rows, "position")
        return {"DatasetEntries": [row["line"] for row in shown]} | token

    def list_dataset_labels(self, caller: Caller, request: _Request) -> _Response:
        page = _Page(request, "labels", request["DatasetArn"])
        with self._store.reading() as db:
            dataset = _listable(_dataset(db, caller, request["DatasetArn"]))
            rows = db.execute(
                "SELECT name, count(*) AS images, sum(boxed) AS boxed FROM labels"
                " WHERE dataset_id = ? AND name > ? GROUP BY name ORDER BY name LIMIT ?",
                (dataset["id"], page.after(""), page.size + 1),
            ).fetchall()
        shown, token = page.cut(rows, "name")
        return {
            "DatasetLabelDescriptions": [
                {
                    "LabelName": row["name"],
                    "LabelStats": {"EntryCount": row["images"], "BoundingBoxCount": row["boxed"]},
                }
                for row in shown
            ]
        } | token

    def update_dataset_entries(self, caller: Caller, request: _Request) -> _Response:
        with self._store.writing() as db:
            dataset = _idle(_dataset(db, caller, request["DatasetArn"]))
            if dataset["status"] == "CREATE_FAILED":
                raise ServiceError(
                    "InvalidParameterException", "The dataset could not be created. Delete it and create it again."
                )
            _set_in_progress(db, dataset["id"], "UPDATE_IN_PROGRESS")
            job = self._add_job(
                db,
                "update",
                operation="UpdateDatasetEntries",
                project_id=dataset["project_id"],
                dataset_id=dataset["id"],
                changes=request["Changes"]["GroundTruth"],
            )
        self._lifecycle.run(job)
        return {}

    def distribute_dataset_entries(self, caller: Caller, request: _Request) -> _Response:
        with self._store.writing() as db:
            datasets = {
                dataset["type"]: dataset
                for dataset in (_dataset(db, caller, item["Arn"]) for item in request["Datasets"])
            }
            if set(datasets) != {"TRAIN", "TEST"}:
                raise ServiceError("InvalidParameterException", "Name one train dataset and one test dataset.")
            train, test = datasets["TRAIN"], datasets["TEST"]
            if train["project_id"] != test["project_id"]:
                raise ServiceError("InvalidParameterException", "The two datasets belong to different projects.")
            for dataset in (train, test):
                if dataset["status"].endswith("_IN_PROGRESS") or dataset["status"] == "CREATE_FAILED":
                    raise ServiceError("ResourceNotReadyException", f"The dataset is {dataset['status']}.")
            if test["total_entries"]:
                raise ServiceError("InvalidParameterException", "The test dataset is not empty.")
            for dataset in (train, test):
                _set_in_progress(db, dataset["id"], "UPDATE_IN_PROGRESS")
            job = self._add_job(
                db,
                "distribute",
                operation="DistributeDatasetEntries",
                project_id=train["project_id"],
                dataset_id=train["id"],
                other_dataset_id=test["id"],
            )
        self._lifecycle.run(job)
        return {}

    def delete_dataset(self, caller: Caller, request: _Request) -> _Response:
        with self._store.writing() as db:
            dataset = _idle(_dataset(db, caller, request["DatasetArn"]))
            _set_in_progress(db, dataset["id"], "DELETE_IN_PROGRESS")
            db.execute("DELETE FROM tags WHERE arn = ?", (request["DatasetArn"],))
            job = self._add_job(db, "delete_dataset", project_id=dataset["project_id"], dataset_id=dataset["id"])
        self._lifecycle.run(job)
        return {}

    # Tags

    def tag_resource(self, caller: Caller, request: _Request) -> _Response:
        with self._store.writing() as db:
            _require_resource(db, caller, request["ResourceArn"])
            _write_tags(db, request["ResourceArn"], request["Tags"])
            count = db.execute("SELECT count(*) FROM tags WHERE arn = ?", (request["ResourceArn"],)).fetchone()[0]
            if count > TAGS_MAX:
                raise ServiceError("ServiceQuotaExceededException", f"A resource has at most {TAGS_MAX} tags.")
        return {}

    def untag_resource(self, caller: Caller, request: _Request) -> _Response:
        with self._store.writing() as db:
            _require_resource(db, caller, request["ResourceArn"])
            db.executemany(
                "DELETE FROM tags WHERE arn = ? AND name = ?",
                [(request["ResourceArn"], name) for name in request["TagKeys"]],
            )
        return {}

    def list_tags_for_resource(self, caller: Caller, request: _Request) -> _Response:
        with self._store.reading() as db:
            _require_resource(db, caller, request["ResourceArn"])
            rows = db.execute("SELECT name, value FROM tags WHERE arn = ?", (request["ResourceArn"],)).fetchall()
        return {"Tags": {row["name"]: row["value"] for row in rows}}

    def _add_job(self, db: sqlite3.Connection, kind: str, *, operation: str = "", **columns: Any) -> int:
        """Note an asynchronous operation, and whether a fault shall end it."""
        columns |= {"kind": kind, "due_ms": int((time.time() + self._settings.status_delay_s) * 1000)}
        fault = self._faults.take(operation, failing=True)
        if fault is not None:
            columns["failure_message"] = fault.message or "An injected fault ended the operation."
            columns["failure_code"] = fault.code or "SERVICE_ERROR"
        statement = f"INSERT INTO jobs ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608
        job_id = db.execute(statement, list(columns.values())).lastrowid
        if job_id is None:
            raise sqlite3.InternalError("An inserted job has no id.")
        return job_id


_HANDLERS: Final[dict[str, Callable[[DatasetService, Caller, _Request], _Response]]] = {
    "CreateProject": DatasetService.create_project,
    "DescribeProjects": DatasetService.describe_projects,
    "DeleteProject": DatasetService.delete_project,
    "CreateDataset": DatasetService.create_dataset,
    "DescribeDataset": DatasetService.describe_dataset,
    "ListDatasetEntries": DatasetService.list_dataset_entries,
    "ListDatasetLabels": DatasetService.list_dataset_labels,
    "UpdateDatasetEntries": DatasetService.update_dataset_entries,
    "DistributeDatasetEntries": DatasetService.distribute_dataset_entries,
    "DeleteDataset": DatasetService.delete_dataset,
    "TagResource": DatasetService.tag_resource,
    "UntagResource": DatasetService.untag_resource,
    "ListTagsForResource": DatasetService.list_tags_for_resource,
}
OPERATIONS: Final = frozenset(_HANDLERS)


class _Page:
    """One page of a listing. A token fits only the listing, with its filters, that gave it out."""

    def __init__(self, request: _Request, *listing: Any) -> None:
        self.size: int = request.get("MaxResults", _PAGE_MAX)
        self._listing = _json(listing).encode()
        self._token: str = request.get("NextToken", "")

    def after(self, start: Any) -> Any:
        """Where the last page ended; ``start``, whose type the places have, for a first page."""
        if not self._token:
            return start
        try:
            digest, _, place = base64.urlsafe_b64decode(self._token.encode()).partition(b".")
            position = msgspec.json.decode(place, type=type(start))
        except (ValueError, msgspec.DecodeError):
            position, digest = start, b""
        if not hmac.compare_digest(digest, self._digest(position)):
            raise ServiceError("InvalidPaginationTokenException", "The pagination token is not valid for this request.")
        return position

    def cut(self, rows: list[sqlite3.Row], column: str) -> tuple[list[sqlite3.Row], _Response]:
        """The rows of the page, and NextToken when there are more."""
        if len(rows) <= self.size:
            return rows, {}
        shown = rows[: self.size]
        position = shown[-1][column]
        token = self._digest(position) + b"." + msgspec.json.encode(position)
        return shown, {"NextToken": base64.urlsafe_b64encode(token).decode()}

    def _digest(self, position: int | str) -> bytes:
        keyed = blake2b(self._listing + msgspec.json.encode(position), key=_TOKEN_KEY, digest_size=8)
        return keyed.hexdigest().encode()


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _arn_prefix(caller: Caller) -> str:
    return f"arn:aws:rekognition:{caller.region}:{caller.account}:project/"


def _dataset_arn(caller: Caller, project: str, dataset: sqlite3.Row) -> str:
    return f"{_arn_prefix(caller)}{project}/dataset/{dataset['type'].lower()}/{dataset['created_ms']}"


def _status(dataset: sqlite3.Row) -> _Response:
    shown = {"Status": dataset["status"], "StatusMessage": dataset["message"], "StatusMessageCode": dataset["code"]}
    return {name: value for name, value in shown.items() if value is not None}


def _located(caller: Caller, arn: str) -> re.Match[str]:
    """An ARN's parts, if it is one of the caller's Region.

    Raises:
        ServiceError: AccessDeniedException for another account's, ResourceNotFoundException for any other.
    """
    matched = _ARN.fullmatch(arn)
    if matched is not None and matched["account"] != caller.account:
        raise ServiceError("AccessDeniedException", f"Account {caller.account} may not use {arn}.")
    if matched is None or matched["region"] != caller.region:
        raise _not_found(arn)
    return matched


def _not_found(arn: str) -> ServiceError:
    return ServiceError("ResourceNotFoundException", f"There is no {arn}.")


def _project(db: sqlite3.Connection, caller: Caller, arn: str) -> sqlite3.Row:
    parts = _located(caller, arn)
    row = db.execute(
        "SELECT * FROM projects WHERE account = ? AND region = ? AND name = ? AND created_ms = ?",
        (caller.account, caller.region, parts["project"], int(parts["created_ms"])),
    ).fetchone()
    if row is None or parts["type"] is not None:
        raise _not_found(arn)
    return row  # type: ignore[no-any-return]


def _dataset(db: sqlite3.Connection, caller: Caller, arn: str) -> sqlite3.Row:
    parts = _located(caller, arn)
    row = db.execute(
        "SELECT datasets.* FROM datasets JOIN projects ON projects.id = project_id"
        " WHERE account = ? AND region = ? AND name = ? AND type = ? AND datasets.created_ms = ?",
        (caller.account, caller.region, parts["project"], (parts["type"] or "").upper(), int(parts["created_ms"])),
    ).fetchone()
    if row is None:
        raise _not_found(arn)
    return row  # type: ignore[no-any-return]


def _require_resource(db: sqlite3.Connection, caller: Caller, arn: str) -> None:
    if _located(caller, arn)["type"] is None:
        _project(db, caller, arn)
    else:
        _dataset(db, caller, arn)


def _idle(dataset: sqlite3.Row) -> sqlite3.Row:
    if dataset["status"].endswith("_IN_PROGRESS"):
        raise ServiceError("ResourceInUseException", f"The dataset is {dataset['status']}.")
    return dataset


def _listable(dataset: sqlite3.Row) -> sqlite3.Row:
    if dataset["status"].startswith("CREATE_") and dataset["status"] != "CREATE_COMPLETE":
        raise ServiceError("ResourceNotReadyException", f"The dataset is {dataset['status']}.")
    return _idle(dataset)


def _readable_dataset(db: sqlite3.Connection, caller: Caller, arn: str) -> sqlite3.Row:
    dataset = _dataset(db, caller, arn)
    if dataset["status"].endswith("_IN_PROGRESS") or dataset["status"] == "CREATE_FAILED":
        raise ServiceError("InvalidParameterException", f"The dataset to copy is {dataset['status']}.")
    return dataset


def _set_in_progress(db: sqlite3.Connection, dataset: int, status: str) -> None:
    db.execute("UPDATE datasets SET status = ?, message = NULL, code = NULL WHERE id = ?", (status, dataset))


def _copy_entries(db: sqlite3.Connection, source: sqlite3.Row, dataset_id: int | None) -> None:
    db.execute(
        "INSERT INTO entries SELECT ?, position, source_ref, bucket, line, labeled, has_errors"
        " FROM entries WHERE dataset_id = ?",
        (dataset_id, source["id"]),
    )
    db.execute(
        "INSERT INTO labels SELECT ?, name, position, boxed FROM labels WHERE dataset_id = ?",
        (dataset_id, source["id"]),
    )


def _write_tags(db: sqlite3.Connection, arn: str, tags: dict[str, str]) -> None:
    db.executemany(
        "INSERT INTO tags VALUES (?, ?, ?) ON CONFLICT (arn, name) DO UPDATE SET value = excluded.value",
        [(arn, name, value) for name, value in tags.items()],
    )
