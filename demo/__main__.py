"""`python -m demo run|up|down`, what `make demo`, `make up` and `make down` call."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import track

from demo.errors import DemoError
from demo.folder_copy import copy_files, find_files
from demo.imports import FinishedImport, Import, ImportRecord, follow_import, project_name, run_import, trigger_import
from demo.pictures import draw_sample_tree
from demo.processes import interrupts_as_errors
from demo.report import print_import, print_log_tail, print_other_imports, shown_path
from demo.services import ADMIN, IMAGES_BUCKET, Services, forget_aws_settings
from demo.settings import Settings
from demo.sources import other_imports

app = typer.Typer(add_completion=False, help=__doc__, pretty_exceptions_enable=False)
console = Console(highlight=False)


@app.command()
def run(
    images: Annotated[
        str | None, typer.Option(envvar="IMAGES", help="A folder of images; without it, a sample tree is drawn.")
    ] = None,
) -> None:
    """Start everything, import a folder of images, print the result."""
    with _demo() as (settings, say):
        folder = Path(images).expanduser().resolve() if images else draw_sample_tree(settings.demo_dir / "images")
        files = find_files(folder)
        services = Services(settings, say=say)
        services.up()
        prefix = f"{folder.name}/"
        s3_folder = f"s3://{IMAGES_BUCKET}/{prefix}"
        record = ImportRecord(settings.demo_dir)
        copied = copy_files(files, services.s3(), bucket=IMAGES_BUCKET, prefix=prefix, track=_track)
        say(f"{s3_folder}: {copied.files:,} files, {copied.uploaded:,} uploaded, {copied.deleted:,} deleted")
        if copied.changed:
            # If the import fails, the next call must not take the result of an older tree for this one's.
            record.forget(s3_folder)
        imported = record.find(s3_folder)
        if imported and _still_there(services, imported.result):
            say("Already imported; nothing has changed since. The result of that import:")
        else:
            conf = {"project": project_name(folder.name), "s3_folder": s3_folder}
            wanted = Import(dag_id="import_s3_folder", conf=conf)
            with services.airflow() as airflow:
                imported = run_import(airflow, wanted, base_url=settings.airflow_url, say=say)
            record.add(s3_folder, imported)
        print_import(console, s3_folder, imported)
        if not images:
            print_other_imports(console, _import_other_sources(services, folder, prefix, imported, record, say))
        _print_services(settings)


def _import_other_sources(
    services: Services,
    folder: Path,
    prefix: str,
    imported: FinishedImport,
    record: ImportRecord,
    say: Callable[[str], None],
) -> dict[str, FinishedImport]:
    """Import the sample from each other source, all at the same time; what is there already is not imported again."""
    wanted = other_imports(
        services.s3(),
        bucket=IMAGES_BUCKET,
        prefix=prefix,
        folder=folder,
        dataset_arn=imported.result["dataset_arn"],
    )
    finished = {source: record.find(source) for source in wanted}
    missing = [
        source for source, found in finished.items() if found is None or not _still_there(services, found.result)
    ]
    if missing:
        base_url = services.settings.airflow_url
        with services.airflow() as airflow:
            run_ids = {source: trigger_import(airflow, wanted[source]) for source in missing}
            for source, run_id in run_ids.items():
                result = follow_import(airflow, wanted[source], run_id, base_url=base_url, say=say)
                record.add(source, result)
                finished[source] = result
    return {source: found for source, found in finished.items() if found is not None}


@app.command()
def up() -> None:
    """Start local AWS and Airflow."""
    with _demo() as (settings, say):
        if not Services(settings, say=say).up():
            say("Everything runs already.")
        _print_services(settings)


@app.command()
def down() -> None:
    """End what was started, and nothing else."""
    with _demo() as (settings, say):
        if not Services(settings, say=say).down():
            say("Nothing was running.")


@contextmanager
def _demo() -> Iterator[tuple[Settings, Callable[[str], None]]]:
    def say(text: str) -> None:
        console.print(text, markup=False, soft_wrap=True)

    forget_aws_settings(os.environ)
    try:
        settings = Settings.from_environment(os.environ)
        settings.demo_dir.mkdir(parents=True, exist_ok=True)
        with interrupts_as_errors(), _lock(settings.demo_dir / "lock"):
            yield settings, say
    except DemoError as error:
        console.print(str(error), style="bold red", markup=False, soft_wrap=True)
        if error.log:
            print_log_tail(console, error.log)
        raise SystemExit(1) from error
    except KeyboardInterrupt:
        console.print("Interrupted.", style="bold red")
        raise SystemExit(130) from None


@contextmanager
def _lock(file: Path) -> Iterator[None]:
    with file.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DemoError(f"Another `make demo`, `make up` or `make down` works in {file.parent}.") from error
        yield


def _track(items: Iterable[Any], total: int) -> Iterable[Any]:
    return track(items, total=total, description="Uploading", console=console, disable=not console.is_terminal)


def _still_there(services: Services, result: dict[str, Any]) -> bool:
    arn = result.get("dataset_arn")
    if not arn:
        return False
    rekognition = services.rekognition()
    try:
        rekognition.describe_dataset(DatasetArn=arn)
    except rekognition.exceptions.ResourceNotFoundException:
        return False
    return True


def _print_services(settings: Settings) -> None:
    console.print()
    console.print(
        f"Airflow      {settings.airflow_url}  (user {ADMIN}, password in {shown_path(settings.passwords_file)})\n"
        f"S3           {settings.s3_url}\n"
        f"Rekognition  {settings.rekognition_url}\n"
        "All of it stays up until `make down`.",
        markup=False,
        soft_wrap=True,
    )


if __name__ == "__main__":
    app()
