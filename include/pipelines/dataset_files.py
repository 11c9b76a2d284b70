"""Datasets as code: one reviewed YAML file each, read into a request and what a refresh of it needs.

A file's parameters are those of its source's request, by their names: this module only says where in the file each of
them stands, which follows from its section in the trigger form. What else a file holds is the Struct `DatasetFile`.
Reading a file needs no network, and nothing of Airflow's database.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import yaml
from msgspec import Meta

from include.custom_labels.errors import RequestError
from include.pipelines.notifications import Event, Notification, notifiers
from include.pipelines.requests import REQUEST_TYPES, ImportRequest, form
from include.pipelines.requests.base import DATASET, GATES, SPLIT
from include.pipelines.schedules import check_schedule, check_timezone
from include.pipelines.yaml_documents import YamlDocument

if TYPE_CHECKING:
    from airflow.sdk import BaseNotifier

DATASETS = Path(__file__).resolve().parents[1] / "datasets"
"""The folder of the files."""
DAG_PREFIX = "refresh_"
"""What the ids of the files' Dags start with."""

GROUPS = {SPLIT: "split", GATES: "gates"}
"""Sections of the form whose parameters stand together in a file."""
TYPE = "type"
"""Where ``source`` says which of the sources it is."""
REQUIRED = frozenset({"project", "s3_folder", "source_dataset"})
"""Parameters whose defaults are examples for the form; a file has to say them."""
OF_A_RUN = {
    "as_of": "it belongs to a run, which is as of the end of its data interval",
    "upload_id": "an upload is imported once, with the Dag import_local_computer",
    "max_images": "it limits an upload, which is imported once, with the Dag import_local_computer",
}
"""Parameters that no file has, and why."""

_PROJECT = Path(__file__).resolve().parents[2]
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,199}", re.ASCII)
# Beyond them, dates cannot be written in every time zone.
_YEARS = range(1970, 2200)
_PAGE = "docs/datasets.md lists the members of a file."
_PATH_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")
# By what msgspec says, in its words.
_HINTS = (
    (r"Expected `bool", "Write true or false; yes, no, on and off are texts in YAML 1.2."),
    (r"Expected `str.*got `(int|float|bool)`", "Put the value in quotes."),
    (r"Expected `str.*got `null`", "Give it a value, or remove it."),
    (r"Invalid RFC3339 encoded date", "Write it as 2026-11-01."),
)


class DatasetFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The members of a file that are no parameters of an import."""

    name: Annotated[
        str | None, Meta(description="The name of the file without .yaml; given for readers, and has to be that.")
    ] = None
    description: Annotated[str, Meta(description="What the dataset is, for people; Markdown.")] = ""
    owner: Annotated[str, Meta(min_length=1, max_length=100, description="Who owns the tasks, in Airflow's lists.")] = (
        "custom-labels"
    )
    tags: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=100)], ...],
        Meta(description="Tags of the Dag, besides the project's own."),
    ] = ()
    schedule: Annotated[
        str | None,
        Meta(
            description=(
                "When the dataset is refreshed: a cron expression such as `0 3 * * *`, with seconds as an optional "
                "sixth field, or a preset such as `@daily`; null for never by itself."
            ),
            examples=["0 3 * * *", "@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly", None],
        ),
    ] = None
    timezone: Annotated[
        str, Meta(description="The time zone that the schedule is in, such as Europe/Berlin.", examples=["UTC"])
    ] = "UTC"
    start_date: Annotated[
        date | None,
        Meta(description="The schedule begins with this day, in its time zone, such as 2026-11-01."),
    ] = None
    notifications: Annotated[tuple[Notification, ...], Meta(description="Who hears how the runs went.")] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A dataset that is refreshed as its file says.

    :ivar file: relative to the project where it lies in it
    :ivar text: the file's
    """

    name: str
    file: str
    text: str
    request: ImportRequest
    content: DatasetFile

    @property
    def dag_id(self) -> str:
        return f"{DAG_PREFIX}{self.name}"

    @property
    def source(self) -> str:
        """The tag of the request, such as ``s3_folder``."""
        return str(self.request.__struct_config__.tag)

    @property
    def params(self) -> dict[str, Any]:
        """All parameters of the request, as plain JSON."""
        return {name: value for name, value in self.request.to_json().items() if name != "source"}

    def notifiers(self, event: Event) -> list[BaseNotifier]:
        """Who hears of an event."""
        return notifiers(self.content.notifications, event)


class DatasetFileError(RequestError):
    """A file, or several of them, that cannot be used; the other files are not touched by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetFiles:
    """What is in a folder."""

    datasets: Sequence[Dataset]
    errors: Sequence[DatasetFileError]

    def raise_on_errors(self) -> None:
        """
        :raises DatasetFileError: the only one, or one that tells of all
        """
        if len(self.errors) == 1:
            # Where in the reader it came from, and from what, helps nobody who reads Airflow's import errors.
            raise self.errors[0].with_traceback(None) from None
        if self.errors:
            raise DatasetFileError(
                "INVALID_DATASET_FILE",
                f"{len(self.errors)} dataset files cannot be used.",
                "".join(f"\n- {error.message} {error.next_step}" for error in self.errors),
                files=[error.details["file"] for error in self.errors],
            )


def read_datasets(folder: Path, name: str | None = None) -> DatasetFiles:
    """Read all files of a folder, in the order of their names.

    A dataset belongs to the first file that names it: two schedules would undo each other's work.

    :param name: of the only dataset that is wanted
    """
    datasets: list[Dataset] = []
    errors: list[DatasetFileError] = []
    owners: dict[tuple[str, str], str] = {}
    for path in sorted(folder.glob("*")) if name is None else [folder / f"{name}.yaml"]:
        # Editors keep hidden files of their own beside a file that is open.
        if path.suffix in (".yaml", ".yml") and not path.name.startswith("."):
            reader = _Reader(path)
            try:
                dataset = reader.read()
                reader.refuse_taken(dataset.request, owners)
            except DatasetFileError as error:
                errors.append(error)
            else:
                datasets.append(dataset)
                owners |= {(dataset.request.project, each): dataset.file for each in dataset.request.dataset_types}
    return DatasetFiles(datasets=datasets, errors=errors)


def read_dataset(path: Path) -> Dataset:
    """Read one file.

    :raises DatasetFileError: INVALID_DATASET_FILE, with the file, the member and what to do
    """
    return _Reader(path).read()


@cache
def places(request_type: type[ImportRequest]) -> dict[str, tuple[str, ...]]:
    """Where in a file each parameter of a source stands, such as ``("source", "s3_folder")``."""
    shared = ImportRequest.__struct_fields__
    found: dict[str, tuple[str, ...]] = {}
    for name, param in form(request_type).items():
        section = param.schema["section"]
        if name in OF_A_RUN:
            continue
        if section in GROUPS:
            found[name] = (GROUPS[section], name)
        elif section == DATASET or name in shared:
            found[name] = (name,)
        else:
            found[name] = ("source", name)
    return found


class _Reader:
    """Reads one file; every step raises on what it finds wrong."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = str(path.relative_to(_PROJECT) if path.is_relative_to(_PROJECT) else path)
        self._document: YamlDocument | None = None

    def read(self) -> Dataset:
        text = self._text()
        content = self._members(text)
        request_type = self._request_type(content)
        params = self._params(content, request_type)
        own = DatasetFile.__struct_fields__
        file = self._content({name: value for name, value in content.items() if name in own})
        request = self._request(params, request_type)
        return Dataset(name=self._path.stem, file=self._file, text=text, request=request, content=file)

    def refuse_taken(self, request: ImportRequest, owners: Mapping[tuple[str, str], str]) -> None:
        """
        :param owners: file by project and type of dataset
        :raises DatasetFileError: INVALID_DATASET_FILE, another file has a dataset of this one
        """
        for dataset_type in request.dataset_types:
            if owner := owners.get((request.project, dataset_type)):
                raise self._error(
                    ("project",),
                    f"the {dataset_type} dataset of {request.project} is that of {owner}",
                    "Name another `project` or `dataset_type`, or remove one of the files.",
                )

    def _text(self) -> str:
        if self._path.suffix != ".yaml":
            raise self._error((), f"the file ends in {self._path.suffix}", "Rename it to end in .yaml.")
        if not _NAME.fullmatch(self._path.stem):
            raise self._error(
                (),
                f"{self._path.stem!r} is no name of a dataset",
                "Rename the file: lower-case letters, digits, _ and -, a letter or digit first, at most 200.",
            )
        try:
            return self._path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise self._error((), "the file is not UTF-8", "Save it as UTF-8.") from error
        except OSError as error:
            raise self._error(
                (), f"the file cannot be read ({error.strerror})", "Let Airflow's user read it."
            ) from error

    def _members(self, text: str) -> dict[Any, Any]:
        try:
            self._document = YamlDocument(text)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else None
            raise self._error((), f"no YAML: {error.problem or error.context}", "Correct it.", line) from error
        except (yaml.YAMLError, RecursionError) as error:
            raise self._error((), f"no YAML: {str(error).splitlines()[0]}", "Correct it.") from error
        content = self._document.value
        if not isinstance(content, dict):
            what = "the file is empty" if content is None else "the file is no mapping"
            raise self._error((), what, f"Write members such as `project: alexa-devices`; {_PAGE}")
        return content

    def _request_type(self, content: Mapping[Any, Any]) -> type[ImportRequest]:
        kinds = ", ".join(REQUEST_TYPES)
        source = content.get("source")
        if not isinstance(source, dict) or TYPE not in source:
            at = ("source",) if "source" in content else ()
            raise self._error(at, "`source` has no type", f"Give `source` a member `type`, one of {kinds}.")
        kind = source[TYPE]
        if not isinstance(kind, str) or kind not in REQUEST_TYPES:
            raise self._error(("source", TYPE), f"{kind!r} is no source", f"The sources are {kinds}.")
        return REQUEST_TYPES[kind]

    def _params(self, content: Mapping[Any, Any], request_type: type[ImportRequest]) -> dict[str, Any]:
        """The parameters of the request, wherever in the file they stand."""
        places_of = places(request_type)
        groups = {place[0] for place in places_of.values() if len(place) > 1} | {"source"}
        single = [place[0] for place in places_of.values() if len(place) == 1]
        self._refuse_unknown((), content, [*DatasetFile.__struct_fields__, *single, *sorted(groups)], request_type)
        params = {name: content[name] for name in single if name in content}
        for group in sorted(groups):
            # A group whose members are all commented out is null to YAML.
            members = {} if content.get(group) is None else content[group]
            if not isinstance(members, dict):
                raise self._error((group,), "no mapping", f"Write its members below it; {_PAGE}")
            known = [place[1] for place in places_of.values() if place[0] == group and len(place) > 1]
            self._refuse_unknown((group,), members, [TYPE, *known] if group == "source" else known, request_type)
            params |= {name: value for name, value in members.items() if name != TYPE}
        if GROUPS[SPLIT] in content and params.setdefault("dataset_type", "train+test") != "train+test":
            raise self._error(
                ("dataset_type",),
                "a dataset with a `split` is train+test",
                "Remove `dataset_type`, or the `split`.",
            )
        for name in sorted(REQUIRED & places_of.keys() - params.keys()):
            place = ".".join(places_of[name])
            raise self._error(places_of[name][:-1], f"`{place}` is missing", "Add it; its default is an example only.")
        return params

    def _refuse_unknown(
        self,
        group: tuple[str, ...],
        members: Mapping[Any, Any],
        known: Sequence[str],
        request_type: type[ImportRequest],
    ) -> None:
        for name in members:
            if name in known:
                continue
            if name in OF_A_RUN and name in request_type.__struct_fields__:
                raise self._error((*group, name), f"no file has it: {OF_A_RUN[name]}", "Remove it.")
            homes = {place[-1]: ".".join(place) for place in places(request_type).values()}
            if name in homes:
                raise self._error((*group, name), "it stands in another place", f"Write it as `{homes[name]}`.")
            alike = get_close_matches(str(name), known, n=1)
            hint = f"Did you mean `{'.'.join((*group, alike[0]))}`?" if alike else f"They are {', '.join(known)}."
            raise self._error((*group, str(name)), "there is no such member", hint)

    def _content(self, members: Mapping[str, Any]) -> DatasetFile:
        try:
            content = msgspec.convert(members, DatasetFile)
        except msgspec.ValidationError as error:
            raise self._mistyped(error) from error
        if content.name is not None and content.name != self._path.stem:
            raise self._error(
                ("name",), f"the file is named {self._path.stem!r}", "Rename one of the two, or remove `name`."
            )
        try:
            if content.schedule is not None:
                check_schedule(content.schedule)
        except ValueError as error:
            raise self._error(("schedule",), str(error), 'Write it as "0 3 * * *" or "@daily".') from error
        try:
            check_timezone(content.timezone)
        except ValueError as error:
            raise self._error(("timezone",), str(error), "Write it as Europe/Berlin.") from error
        if content.start_date is not None and content.start_date.year not in _YEARS:
            raise self._error(("start_date",), f"{content.start_date} is in no year of ours", "Correct the year.")
        return content

    def _request(self, params: Mapping[str, Any], request_type: type[ImportRequest]) -> ImportRequest:
        try:
            return request_type.parse(params)
        except RequestError as error:
            if isinstance(error.__cause__, msgspec.ValidationError):
                raise self._mistyped(error.__cause__, request_type) from error
            what, member = self._located(error.message, places(request_type))
            code = "" if error.code == "INVALID_PARAMETER" else f"{error.code}: "
            raise self._error(member, f"{code}{what}", error.next_step) from error

    def _mistyped(
        self, error: msgspec.ValidationError, request_type: type[ImportRequest] | None = None
    ) -> DatasetFileError:
        what, member = self._located(str(error), places(request_type) if request_type else {})
        hint = next((hint for pattern, hint in _HINTS if re.match(pattern, what)), f"Correct it; {_PAGE}")
        if request_type and (choices := form(request_type).get(str(member[-1]))) and "enum" in choices.schema:
            hint = f"It is one of {', '.join(choices.schema['enum'])}."
        return self._error(member, f"{what[:1].lower()}{what[1:]}", hint)

    @staticmethod
    def _located(message: str, places_of: Mapping[str, tuple[str, ...]]) -> tuple[str, tuple[str | int, ...]]:
        """What msgspec, or a request in its manner, says is wrong, and with which member of the file."""
        what, _, where = message.partition(" - at ")
        steps = [int(index) if index else name for name, index in _PATH_STEP.findall(where)]
        if steps and steps[0] in places_of:
            return what, (*places_of[str(steps[0])], *steps[1:])
        return what, tuple(steps)

    def _error(
        self, member: Sequence[str | int], what: str, next_step: str, line: int | None = None
    ) -> DatasetFileError:
        if line is None and self._document is not None:
            line = self._document.line(member)
        path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in member).removeprefix(".")
        at = "".join((f", line {line}" if line else "", f", `{path}`" if path else ""))
        return DatasetFileError(
            "INVALID_DATASET_FILE",
            f"{self._file}{at}: {what.rstrip('.')}.",
            next_step,
            file=self._file,
            member=path,
        )
