"""The domain on the command line: ``python -m include.custom_labels --help``.

Standard output carries results only, one JSON value a line in ASCII, so that a line is a line for every reader;
everything for people goes to standard error.
"""

from __future__ import annotations

import json
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, BinaryIO, NoReturn

import msgspec
import typer

from include.custom_labels.codes import Code, codes_as_markdown
from include.custom_labels.diff import Snapshot, diff_snapshots
from include.custom_labels.errors import CustomLabelsError, RequestError
from include.custom_labels.findings import Finding
from include.custom_labels.labelling import FolderLabelling
from include.custom_labels.ledger import State
from include.custom_labels.locations import S3FolderLocation
from include.custom_labels.objects import ObjectPage
from include.custom_labels.quotas import ALL_QUOTAS, DatasetType, regional_quotas
from include.custom_labels.validation import ManifestValidator
from include.custom_labels.validation_results import ValidationResult, compare_datasets

_READ_BYTES = 1 << 18
_OUTSIDE = ("outside", None, "OUTSIDE_LOCATION")
_ERRORS_FOUND = 1
_DIFFERENCES_FOUND = 1
_DAMAGE_FOUND = 1
_UNUSABLE = 2

app = typer.Typer(
    name="custom_labels",
    help="Labels, manifests and quotas of Amazon Rekognition Custom Labels datasets.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


class DatasetTypeOption(StrEnum):
    """The dataset types as the console writes them."""

    TRAIN = "train"
    TEST = "test"

    @property
    def api_name(self) -> DatasetType:
        return "TRAIN" if self is DatasetTypeOption.TRAIN else "TEST"


def _region(text: str) -> str:
    if not re.fullmatch(r"[a-z]{2}(-[a-z]+)+-[0-9]{1,2}", text):
        raise typer.BadParameter(f"{text!r} is not the code of an AWS Region, such as us-east-1")
    return text


def _s3_folder(text: str) -> S3FolderLocation:
    try:
        return S3FolderLocation.parse(text)
    except RequestError as error:
        raise typer.BadParameter(f"{error.message} {error.next_step}") from error


_RegionOption = Annotated[str, typer.Option(help="AWS Region, for its quotas.", callback=_region)]


@app.command()
def labels(
    s3_folder: Annotated[
        S3FolderLocation,
        typer.Option(
            help="S3 folder location, such as s3://example-bucket/alexa-devices/.",
            parser=_s3_folder,
            metavar="S3_URI",
        ),
    ],
    automatic_labeling: Annotated[bool, typer.Option(help="Label images with the name of their folder.")] = True,
) -> None:
    """Say what an import would make of object keys, by their names alone.

    Reads keys from standard input, one JSON string a line, and writes one object {"key", "state", "label",
    "reason"} for each. A folder whose name cannot be a label has that as the reason. Exits with 2 at the first line
    that is no JSON string.
    """
    labelling = FolderLabelling(s3_folder.prefix, automatic_labeling=automatic_labeling)
    decode = msgspec.json.Decoder(str).decode
    number = 0
    for lines in _lines_as_they_come(sys.stdin.buffer):
        keys = []
        fault = ""
        for line in lines:
            number += 1
            try:
                keys.append(decode(line))
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                fault = f"line {number} is not a JSON string: {error}"
                break
        sys.stdout.write(_labels_lines(labelling, s3_folder, keys))
        sys.stdout.flush()
        if fault:
            _stop(fault)


def _labels_lines(labelling: FolderLabelling, location: S3FolderLocation, keys: list[str]) -> str:
    # Code points sort as their UTF-8 bytes do, so that this is the order of a listing.
    inside = sorted({key for key in keys if location.contains(key)})
    blank = [""] * len(inside)
    ledger = labelling.open_ledger(ObjectPage(inside, [0] * len(inside), blank, blank))
    answers: dict[str, tuple[str, str | None, str]] = {}
    for key, state, label, reason in zip(inside, ledger.states, ledger.labels, ledger.reasons, strict=True):
        # The rule gives this label; that Rekognition would refuse it is the reason's to say.
        answer = State.LABELLED if state is State.REJECTED else state
        answers[key] = answer.value, label, reason.value
    output = []
    for key in keys:
        state_name, label, reason_code = answers.get(key, _OUTSIDE)
        output.append(json.dumps({"key": key, "state": state_name, "label": label, "reason": reason_code}) + "\n")
    return "".join(output)


def _lines_as_they_come(stream: BinaryIO) -> Iterator[list[bytes]]:
    """Whole lines, as many as can be read without waiting for more."""
    rest: list[bytes] = []
    # What is there now, and not a full buffer: another program may wait for the answer to one key.
    while chunk := stream.read1(_READ_BYTES):  # type: ignore[attr-defined]
        *lines, last = chunk.split(b"\n")
        if lines:
            lines[0] = b"".join(rest) + lines[0]
            rest = []
            yield lines
        rest.append(last)
    if end := b"".join(rest):
        yield [end]


@app.command()
def validate(
    file: Annotated[str, typer.Argument(help="Manifest, or - for standard input.", metavar="FILE")],
    dataset_type: Annotated[
        DatasetTypeOption | None, typer.Option(help="Default: train, or test with --against.", case_sensitive=False)
    ] = None,
    region: _RegionOption = "us-east-1",
    against: Annotated[
        Path | None, typer.Option(help="Training manifest to compare a test manifest with.", metavar="TRAIN_FILE")
    ] = None,
    max_images: Annotated[int | None, typer.Option(help="Image quota, where AWS has raised it.", min=1)] = None,
) -> None:
    """Check a manifest by Amazon Rekognition's rules and write the findings as JSON Lines.

    Exits with 0 when there are no errors (warnings do not count), with 1 when there are, and with 2 when Rekognition
    would refuse the file as a whole or when it cannot be read.
    """
    if dataset_type is None:
        dataset_type = DatasetTypeOption.TRAIN if against is None else DatasetTypeOption.TEST
    findings: dict[str, int] = {"error": 0, "warning": 0}

    def write(finding: Finding) -> None:
        findings[finding.code.severity] += 1
        sys.stdout.write(json.dumps(finding.as_dict()) + "\n")

    train = None
    if against is not None:
        train = _validated(str(against), ManifestValidator(region=region, dataset_type="TRAIN", max_lines=max_images))
    result = _validated(
        file,
        ManifestValidator(region=region, dataset_type=dataset_type.api_name, max_lines=max_images, on_finding=write),
    )
    if train is not None:
        compare_datasets(train, result, on_finding=write)
    sys.stdout.flush()
    typer.echo(
        f"{result.lines:,} lines: {result.valid_lines:,} valid, {result.invalid_lines:,} invalid, "
        f"{result.ignored_lines:,} ignored; {len(result.images_per_label):,} labels; "
        f"{findings['error']:,} errors, {findings['warning']:,} warnings"
        + ("" if result.is_usable else "; Rekognition would refuse this file"),
        err=True,
    )
    if not result.is_usable:
        raise typer.Exit(_UNUSABLE)
    if findings["error"]:
        raise typer.Exit(_ERRORS_FOUND)


@app.command()
def diff(
    before: Annotated[str, typer.Argument(help="What to compare with.", metavar="A")],
    after: Annotated[str, typer.Argument(help="What to compare.", metavar="B")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Show the difference between two manifests, or two snapshots of a dataset.

    A and B are each a manifest or the folder of a snapshot, on this machine or as s3:// address; S3 is reached with
    the environment's AWS credentials and endpoint. Only between snapshots it is known which images have other bytes
    or lie elsewhere. Exits with 0 where there is no difference, with 1 where there is one, and with 2 when something
    cannot be read.
    """
    if before == after == "-":
        raise typer.BadParameter("only one of A and B can be standard input")
    try:
        found = diff_snapshots(_snapshot(before), _snapshot(after))
    except CustomLabelsError as error:
        place = {"first": before, "second": after}.get(str(error.details.get("manifest")))
        _stop(f"{place}: {error}" if place else str(error))
    except OSError as error:
        _stop(f"cannot read {error.filename}: {error.strerror}")
    if as_json:
        typer.echo(json.dumps(msgspec.to_builtins(found)))
    else:
        # Imported here because it brings rich, which takes longer than many a comparison.
        from include.custom_labels.diff_report import render

        typer.echo(render(found), nl=False)
    if not found.is_empty:
        raise typer.Exit(_DIFFERENCES_FOUND)


def _snapshot(place: str) -> Snapshot:
    if not place.startswith("s3://") and not Path(place).is_dir():
        return Snapshot(manifest=_chunks(place))
    # The only way out of the domain: this module is a program, which nobody imports, and manifests need no AWS SDK.
    from include.object_store.snapshot_contents import read_place

    return read_place(place)


def _chunks(file: str) -> Iterator[bytes]:
    with nullcontext(sys.stdin.buffer) if file == "-" else Path(file).open("rb") as stream:
        while chunk := stream.read(_READ_BYTES):
            yield chunk


def _validated(file: str, validator: ManifestValidator) -> ValidationResult:
    try:
        for chunk in _chunks(file):
            validator.feed(chunk)
    except OSError as error:
        _stop(f"cannot read {file}: {error.strerror}")
    return validator.finish()


@app.command()
def rebuild_base(
    workspace: Annotated[
        S3FolderLocation,
        typer.Argument(
            help="What the Airflow Variable custom_labels_workspace names.", parser=_s3_folder, metavar="WORKSPACE"
        ),
    ],
    project: Annotated[str, typer.Option(help="Project of the dataset.")],
    dataset_type: Annotated[DatasetTypeOption, typer.Option("--type", help="Which dataset.", case_sensitive=False)],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what is damaged, and write nothing.")] = False,
    take_lease: Annotated[
        bool, typer.Option("--take-lease", help="Whatever holds the dataset's lease has ended.")
    ] = False,
    without_export: Annotated[
        bool, typer.Option("--without-export", help="Go on without an export that is gone for good.")
    ] = False,
    aws_profile: Annotated[str | None, typer.Option(help="Profile of AWS's configuration files.")] = None,
    aws_region: Annotated[str | None, typer.Option(help="Region of the dataset.")] = None,
) -> None:
    """Rebuild a dataset's documents in the workspace, where one of them is damaged or gone.

    Reads the dataset's entries from Rekognition and the newest whole snapshot. Entries that are as they were last sent
    are the import's; all others are a person's, and stay. Writes a new snapshot, current.json and registration.json.
    Nothing is deleted, and nothing is written to Rekognition. Exits with 0 when nothing is damaged or everything was
    rebuilt, with 1 when --dry-run found damage, and with 2 when it cannot be done.
    """
    # As for diff: a program's way out of the domain.
    from include.pipelines.base_rebuild import RebuildOptions, rebuild

    options = RebuildOptions(is_dry=dry_run, takes_lease=take_lease, gives_up_export=without_export)
    try:
        is_damaged = rebuild(
            workspace,
            project,
            "train" if dataset_type is DatasetTypeOption.TRAIN else "test",
            options,
            profile=aws_profile,
            region=aws_region,
            say=typer.echo,
        )
    except CustomLabelsError as error:
        _stop(str(error))
    if dry_run and is_damaged:
        raise typer.Exit(_DAMAGE_FOUND)


@app.command()
def quotas(
    region: _RegionOption,
    as_json: Annotated[bool, typer.Option("--json", help="JSON, also on a terminal.")] = False,
) -> None:
    """Show every limit with its unit and source."""
    regional = asdict(regional_quotas(region))
    if as_json or not sys.stdout.isatty():
        by_name = {
            name: {"value": quota.value, "unit": quota.unit, "source": quota.source}
            for name, quota in ALL_QUOTAS.items()
        }
        typer.echo(json.dumps({**regional, "quotas": by_name}, indent=2))
        return
    # Imported here because only people at a terminal need it.
    from rich.console import Console
    from rich.table import Table

    table = Table("quota", "value", "unit", "source", title=f"Custom Labels quotas in {region}")
    for name, value in regional.items():
        if name != "region":
            table.add_row(name, f"{value:,}", "images", f"in {region}")
    for quota in ALL_QUOTAS.values():
        table.add_row(quota.name, f"{quota.value:,}", quota.unit, quota.source)
    Console().print(table)


@app.command()
def codes(
    markdown: Annotated[bool, typer.Option(help="As the tables of docs/error-codes.md.")] = False,
) -> None:
    """List every error code, AWS's and this project's, as JSON Lines."""
    if markdown:
        typer.echo(codes_as_markdown(), nl=False)
        return
    for code in Code:
        listed = {
            "code": code.value,
            "severity": code.severity,
            "scope": code.scope,
            "phases": code.phases,
            "is_aws": code.is_aws,
            "message": code.message,
            "next_step": code.next_step,
        }
        typer.echo(json.dumps(listed))


def _stop(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(_UNUSABLE)


if __name__ == "__main__":
    # A reader that has seen enough, such as `head`, ends this program without a traceback.
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    app(prog_name="python -m include.custom_labels")
