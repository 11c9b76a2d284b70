"""A registration under way: its state is the journal, and each step is written there before and after it is done.

::

    begin ─► delete ─► create_project ─► create ─► verify
      │                                    └─► restore, where the creation failed
      └────► update, batch by batch ─────────► verify

However a task comes back to it, after a wait, a retry, a kill or Airflow's *clear*, it continues where the journal
says. Right before each write to Rekognition it makes sure that the lease is still this run's and that the dataset is
as this run knows it (its ARN, and the time of its last change, the run's own writes apart). Where somebody else has
changed the dataset, it is planned again; where another run has taken over, the task fails and has written nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec

from include.custom_labels.dataset_entries import read_entry
from include.custom_labels.errors import DatasetConflictError
from include.custom_labels.history import identity
from include.custom_labels.locations import S3Uri
from include.custom_labels.merge import Outcome
from include.custom_labels.outcomes import ledger_key
from include.custom_labels.risks import Risk
from include.object_store.exports import read_export
from include.object_store.holders import Holder
from include.object_store.ranged_reads import read_range
from include.object_store.registration_journal import (
    HeldJournal,
    Registration,
    Replacement,
    Step,
    read_journal,
)
from include.object_store.sent_digests import read_overwritten, read_sent, write_sent
from include.object_store.streams import ObjectWriter, copy_object, put_json, read_json, read_lines
from include.pipelines.dataset_merge import JSON_LINES, read_outcomes
from include.pipelines.policy import TEMPORARY_ERRORS
from include.pipelines.registration import (
    AFTER_OTHERS,
    WRITES,
    Plan,
    busy,
    fingerprint,
    make_plan,
    updated_at,
)
from include.pipelines.runs import ImportRun, utc_now
from include.pipelines.verification import Verified, verify
from include.pipelines.waiting import WAITER_OF_STATUS, WaitingError
from include.rekognition.errors import (
    RekognitionDatasetError,
    RekognitionResourceExistsError,
    RekognitionResourceInUseError,
    RekognitionResourceNotFoundError,
    status_error,
    translated_errors,
)

_FIRST_STEP: Final[dict[str, Step]] = {
    "create": "create_project",
    "recreate": "delete",
    "replace": "delete",
    "update": "update",
}

log = logging.getLogger(__name__)


class RegistrationWork:
    """The registration of one run.

    :param plan: as it was made before the lease was taken
    :param has_ended: whether the run that holds a lease is known to have ended
    """

    def __init__(
        self,
        run: ImportRun,
        built: Mapping[str, Any],
        plan: Plan,
        provenance: Mapping[str, Any] | None,
        has_ended: Callable[[Holder], bool],
    ) -> None:
        self._run = run
        self._built = built
        self._plan = plan
        self._provenance = provenance
        self._has_ended = has_ended
        self._held: HeldJournal | None = None

    def go_on(self) -> tuple[Plan, Verified]:
        """Go as far as can be gone now: the plan that was carried out, and the dataset as it was verified.

        :raises WaitingError: there is something to wait for first
        :raises DatasetConflictError: LEASE_LOST, RUN_OUTDATED, REMOVALS_CHANGED, OVERWRITES_CHANGED, DATASET_TAKEN,
            DATASET_VANISHED
        :raises RekognitionDatasetError: Rekognition refused, or could not carry out, what was asked of it
        """
        if self._plan.action not in WRITES and not self._has_to_close_the_journal():
            return self._plan, Verified.of_plan(self._run, self._plan)
        self._resume()
        if self._registration is None:
            self._begin()
        while (registration := self._registration) is not None:
            log.info("Registration: %s", registration.step)
            if registration.step == "verify":
                return self._plan, self._verify(registration)
            self._take(registration)
        return self._plan, Verified.of_plan(self._run, self._plan)

    def give_up(self) -> None:
        """End the lease of a run that is going to fail; what it may have sent, and the export, stay named."""
        lease = read_journal(self._run.s3, self._run.dataset).lease
        if lease is not None and lease.holder == self._run.holder:
            held = HeldJournal.resume(self._run.s3, self._run.dataset, self._run.holder)
            held.write(lease=None, registration=None)

    def _take(self, registration: Registration) -> None:
        """Take one step; where a dataset was deleted and cannot be created, restore it."""
        try:
            _STEPS[registration.step](self, registration)
        except RekognitionResourceInUseError as error:
            raise self._in_use(error) from error
        except RekognitionDatasetError as error:
            is_between = registration.step in ("create_project", "create") and self._plan.action == "replace"
            if not is_between or isinstance(error, TEMPORARY_ERRORS):
                raise
            log.warning("The replacement cannot be created: %s", error)
            self._write(self._registration or registration, step="restore", failure=error.to_event())

    def _in_use(self, error: RekognitionResourceInUseError) -> WaitingError:
        """What to wait for: a request of ours, whose answer was lost, or somebody else's; looking again tells."""
        dataset = self._find()
        if dataset is not None and dataset["Status"] in WAITER_OF_STATUS:
            return busy(self._run, dataset["DatasetArn"], dataset["Status"])
        return WaitingError(
            DatasetConflictError(
                "DATASET_BUSY",
                f"The {self._run.request.dataset_type} dataset of {self._run.request.project} is in use: {error}",
                "Wait until no one works on it, then run again.",
            )
        )

    # The journal.

    @property
    def _journal(self) -> HeldJournal:
        if self._held is None:
            raise RuntimeError("the journal is used before the lease was taken")
        return self._held

    @property
    def _registration(self) -> Registration | None:
        found = self._held.journal.registration if self._held else None
        return found if found is not None and found.holder == self._run.holder else None

    def _has_to_close_the_journal(self) -> bool:
        # A run that finds nothing left to do may still have to close the journal of one that was killed at its end.
        return self._plan.action == "unchanged" and self._plan.fingerprint.journal.is_open_for(self._plan.origin)

    def _resume(self) -> None:
        """Take the journal in hand where the lease is this run's already, with the plan that is carried out."""
        self._held = None
        lease = read_journal(self._run.s3, self._run.dataset).lease
        if lease is None or lease.holder != self._run.holder:
            return
        self._held = HeldJournal.resume(self._run.s3, self._run.dataset, self._run.holder)
        if (registration := self._registration) is not None:
            found = read_json(self._run.s3, S3Uri.parse(registration.plan), Plan)
            if found is None:
                raise DatasetConflictError(
                    "PLAN_LOST",
                    f"{registration.plan} is gone, so that nobody can tell how far this run has come.",
                    "Trigger the Dag again: the next run takes up what this one has left.",
                    location=registration.plan,
                )
            self._plan = found[0]

    def _write(self, registration: Registration, **changes: Any) -> None:
        """Note what is done next, or what was done."""
        self._journal.write(registration=msgspec.structs.replace(registration, **changes))

    # Begin.

    def _begin(self) -> None:
        """Take the lease, make sure that the plan still holds, and write down what is about to be done."""
        run = self._run
        if self._held is None:
            try:
                self._held = HeldJournal.take(run.s3, run.dataset, run.holder, now=utc_now(), has_ended=self._has_ended)
            except DatasetConflictError as error:
                # Who lost the race for a free lease looks again, too.
                raise WaitingError(error) from error
        journal = self._journal.journal
        if self._plan.fingerprint != fingerprint(run, journal):
            log.info(
                "The dataset, or what is known of it, has changed since this run was planned: it is planned again."
            )
            fresh = make_plan(run, self._built, self._provenance, journal)
            self._check_approval(fresh)
            self._plan = fresh
        if self._plan.action not in WRITES:
            return
        replacement = journal.replacement
        if self._plan.export is not None:
            export = run.dataset.export(run.slug)
            copy_object(run.s3, S3Uri.parse(self._plan.export.uri), export)
            replacement = Replacement(
                dataset_arn=self._plan.dataset_arn,
                entries=str(export),
                count=self._plan.export.count,
                sha256=self._plan.export.sha256,
            )
        plan = run.staged("plan.json")
        put_json(run.s3, plan, self._plan)
        self._journal.write(
            sent={**journal.sent, self._plan.origin: self._sent(journal.sent.get(self._plan.origin, ""))},
            replacement=replacement,
            registration=Registration(
                holder=run.holder,
                plan=str(plan),
                step=_FIRST_STEP[self._plan.action],
                dataset_arn=self._plan.dataset_arn,
                dataset_updated_at=self._plan.fingerprint.dataset_updated_at,
            ),
        )

    def _check_approval(self, fresh: Plan) -> None:
        """Make sure that nothing is done that nobody has agreed to.

        :raises DatasetConflictError: DATASET_VANISHED, REMOVALS_CHANGED, or OVERWRITES_CHANGED
        """
        planned = self._plan
        is_deleted = planned.dataset_arn and not fresh.dataset_arn and not self._journal.journal.is_replacing
        if is_deleted and Risk.REGISTERED_DATASET_GONE not in self._run.request.accept_risks:
            raise self._vanished(planned.dataset_arn)
        if fresh.removals and fresh.removed_digest != planned.removed_digest:
            raise DatasetConflictError(
                "REMOVALS_CHANGED",
                f"The dataset was changed after this run was planned: {fresh.removals:,} entries would be removed "
                f"now, and {planned.removals:,} when it was planned.",
                "Clear the run from `plan_registration`, so that the removals are checked again. Nothing was changed.",
            )
        is_accepted = Risk.WORK_OVERWRITTEN in self._run.request.accept_risks
        if fresh.overwrites and not is_accepted and fresh.overwritten_digest != planned.overwritten_digest:
            raise DatasetConflictError(
                "OVERWRITES_CHANGED",
                f"People have worked on the dataset after this run was planned: {fresh.overwrites:,} of their entries "
                f"would give way to the source now, and {planned.overwrites:,} when it was planned.",
                "Clear the run from `plan_registration`, so that they are counted again. Nothing was changed.",
            )

    def _sent(self, before: str) -> str:
        """Write down what this run, and unfinished ones of the import before it, may have sent; the address."""
        uri = self._run.dataset.sent(self._run.slug)

        # Read to their ends before one of them is written again.
        sources = [S3Uri.parse(source) for source in (before, self._plan.digests) if source]
        pairs = [pair for source in sources for pair in read_sent(self._run.s3, source)]
        overwritten: dict[tuple[str, bytes], list[bytes]] = {}
        for source in sources:
            for pair, entries in read_overwritten(self._run.s3, source):
                told = overwritten.setdefault(pair, [])
                told += [entry for entry in entries if entry not in told]
        return str(write_sent(self._run.s3, uri, pairs, overwritten, origin=self._plan.origin).uri)

    # Fences.

    def _fence(self, registration: Registration) -> None:
        """Make sure, right before a write, that this run may write.

        :raises DatasetConflictError: LEASE_LOST
        :raises WaitingError: the dataset was changed, so that everything is planned again; or it is busy
        """
        self._held = HeldJournal.resume(self._run.s3, self._run.dataset, self._run.holder)
        if self._registration != registration:
            raise lease_lost(self._run)
        if not registration.dataset_updated_at:
            return
        description = self._describe(registration.dataset_arn)
        if description["Status"].endswith("_IN_PROGRESS"):
            raise busy(self._run, registration.dataset_arn, description["Status"])
        if updated_at(description) != registration.dataset_updated_at:
            self._plan_again(registration)

    def _plan_again(self, registration: Registration) -> None:
        """Forget the plan, and raise what leads to another one."""
        log.warning("Somebody has changed the dataset since this run looked: it is planned again.")
        self._journal.write(registration=None)
        raise WaitingError(
            DatasetConflictError(
                "DATASET_BUSY",
                f"{registration.dataset_arn} is changed all the time while this run wants to write to it.",
                "Wait until no one works on it, then run again. Nothing of theirs was overwritten.",
                dataset_arn=registration.dataset_arn,
            )
        )

    def _describe(self, arn: str) -> dict[str, Any]:
        try:
            return self._run.rekognition.describe_dataset(arn)
        except RekognitionResourceNotFoundError as error:
            raise self._vanished(arn) from error

    def _vanished(self, arn: str) -> DatasetConflictError:
        is_exported = self._journal.journal.replacement is not None
        return DatasetConflictError(
            "DATASET_VANISHED",
            f"{arn} is gone: somebody deleted it during this run.",
            "Run again to create it; people's work is in the ledger of the last snapshot"
            + (f", and in the export that {self._run.dataset.registration} names." if is_exported else "."),
            dataset_arn=arn,
        )

    def _find(self) -> dict[str, Any] | None:
        run = self._run
        return run.rekognition.find_dataset(run.request.project, run.dataset_type)

    # Steps.

    def _delete(self, registration: Registration) -> None:
        dataset = self._find()
        if dataset is not None and dataset["DatasetArn"] != registration.dataset_arn:
            raise self._taken(dataset["DatasetArn"])
        if dataset is not None and dataset["Status"] != "DELETE_IN_PROGRESS":
            self._fence(registration)
            self._request_deletion(registration.dataset_arn)
        if dataset is not None:
            raise WaitingError(waiter="dataset_deleted", resource=registration.dataset_arn)
        self._write(registration, step="create_project", dataset_arn="", dataset_updated_at="")

    def _request_deletion(self, arn: str) -> None:
        try:
            with translated_errors(arn):
                self._run.rekognition.conn.delete_dataset(DatasetArn=arn)
        except RekognitionResourceNotFoundError:
            # The client has asked again, since the answer to its first request was lost.
            log.info("%s is gone already.", arn)
        else:
            log.info("Deleting %s.", arn)

    def _create_project(self, registration: Registration) -> None:
        name, hook = self._run.request.project, self._run.rekognition
        project = hook.find_project(name)
        if project is None:
            self._fence(registration)
            try:
                with translated_errors(name):
                    hook.conn.create_project(ProjectName=name)
            except RekognitionResourceExistsError:
                # A name that is taken by an adapter of content moderation is not found.
                if hook.find_project(name) is None:
                    raise
            project = hook.find_project(name)
        if project is None or project.get("Status", "CREATED") == "CREATING":
            raise WaitingError(waiter="project_created", resource=name)
        self._write(registration, step="create")

    def _create(self, registration: Registration) -> None:
        dataset = self._find()
        if dataset is None:
            if registration.dataset_arn:
                self._describe(registration.dataset_arn)
            self._create_from(registration, self._plan.manifest if self._plan.entries else "")
            return
        arn, status = dataset["DatasetArn"], dataset["Status"]
        if status.endswith("_IN_PROGRESS"):
            raise WaitingError(waiter=WAITER_OF_STATUS[status], resource=arn)
        if arn != registration.dataset_arn:
            # Either the answer to our own request was lost, or somebody else has been faster.
            if status == "CREATE_FAILED" or not self._is_ours(arn, status, self._plan.manifest):
                raise self._perhaps_taken(arn)
            log.info("%s is what this run asked for; the answer was lost.", arn)
            self._write(registration, dataset_arn=arn, is_created=True)
        elif status == "CREATE_FAILED":
            failed = status_error(self._run.rekognition.describe_dataset(arn), resource=arn)
            self._write(registration, step="restore", failure=failed.to_event())
        else:
            self._write(registration, step="verify")

    def _create_from(self, registration: Registration, manifest: str, *, is_restoration: bool = False) -> None:
        """Create the dataset.

        :param manifest: ``s3://`` address; empty for a dataset without an entry, which Rekognition makes of no manifest
        """
        run = self._run
        source = {"DatasetSource": {"GroundTruthManifest": {"S3Object": _s3_object(manifest)}}} if manifest else {}
        self._fence(registration)
        project = run.rekognition.find_project(run.request.project)
        if project is None:
            self._write(registration, step="create_project")
            return
        try:
            with translated_errors(project["ProjectArn"]):
                arn: str = run.rekognition.conn.create_dataset(
                    ProjectArn=project["ProjectArn"],
                    DatasetType=run.dataset_type,
                    **source,
                )["DatasetArn"]
        except RekognitionResourceExistsError:
            # Looked at once more, it is ours or somebody else's.
            return
        log.info("Creating %s from %s.", arn, manifest or "nothing")
        self._write(registration, dataset_arn=arn, is_created=True, restored_arn=arn if is_restoration else "")
        raise WaitingError(waiter="dataset_created", resource=arn)

    def _is_ours(self, arn: str, status: str, manifest: str) -> bool:
        """Whether a dataset is what this run asked for, and could not note that it did.

        It holds all lines of the manifest. Once it was updated, people may have added entries, and may have edited
        fewer than half of ours; not those with work that was done before, which nobody else would have sent either.
        If the service has dropped a line of ours, the next run merges the dataset: that loses nothing, and to take
        somebody else's for ours would.
        """
        expected = {source_ref: entry.content for source_ref, entry in map(read_entry, self._lines(manifest))}
        listed = self._run.rekognition.iterate_dataset_entries(arn)
        found = {source_ref: entry.content for source_ref, entry in (read_entry(line.encode()) for line in listed)}
        if status == "CREATE_COMPLETE" or not expected.keys() <= found.keys():
            return found == expected
        edited = [source_ref for source_ref, content in expected.items() if found[source_ref] != content]
        own = set(read_sent(self._run.s3, S3Uri.parse(self._plan.digests))) if edited else frozenset()
        return 2 * len(edited) < len(expected) and all((identity(ref), expected[ref]) in own for ref in edited)

    def _lines(self, manifest: str) -> Iterator[bytes]:
        return read_lines(self._run.s3, S3Uri.parse(manifest))

    def _taken(self, arn: str) -> DatasetConflictError:
        return DatasetConflictError(
            "DATASET_TAKEN",
            f"{arn} was created by somebody else while this run worked on the project.",
            f"Look at who did so, then run again: {self._next_run_merges()}",
            dataset_arn=arn,
        )

    def _perhaps_taken(self, arn: str) -> DatasetConflictError:
        return DatasetConflictError(
            "DATASET_TAKEN",
            f"{arn} is not what this run was to create: somebody else has created it, or this run has, and others have "
            "changed it before that was noted. Nobody can tell which.",
            f"Run again, which loses nothing in either case: {self._next_run_merges()}",
            dataset_arn=arn,
        )

    def _next_run_merges(self) -> str:
        merges = "the next run merges that dataset with the source"
        if not self._journal.journal.is_replacing:
            return f"{merges}."
        return f"{merges}, and with the entries of the dataset before, which {self._run.dataset.registration} names."

    def _restore(self, registration: Registration) -> None:
        """Create the dataset again as it was, without the images that are gone, whose entries the export keeps.

        The run has failed all the same, and the export stays named until a run has verified the dataset.
        """
        failure = RekognitionDatasetError.from_event(registration.failure or {})
        replacement = self._journal.journal.replacement
        if replacement is None or self._plan.action != "replace":
            raise failure
        dataset = self._find()
        if dataset is None:
            manifest = self._restoration(replacement)
            if manifest is None:
                gone = (
                    f"It was deleted, and none of its images is left; all of its entries are in {replacement.entries}."
                )
                raise _not_replaced(failure, gone) from failure
            try:
                self._create_from(registration, manifest, is_restoration=True)
            except RekognitionDatasetError as error:
                if isinstance(error, TEMPORARY_ERRORS):
                    raise
                raise self._not_restored(replacement, failure, str(error)) from error
            return
        arn, status = dataset["DatasetArn"], dataset["Status"]
        if status.endswith("_IN_PROGRESS"):
            raise WaitingError(waiter=WAITER_OF_STATUS[status], resource=arn)
        if arn != registration.dataset_arn:
            manifest = self._restoration(replacement)
            if manifest is None or status == "CREATE_FAILED" or not self._is_ours(arn, status, manifest):
                raise self._perhaps_taken(arn) from failure
            self._write(registration, dataset_arn=arn, restored_arn=arn)
            return
        if status == "CREATE_FAILED" and arn == registration.restored_arn:
            raise self._not_restored(replacement, failure, str(dataset.get("StatusMessage", "")))
        if status == "CREATE_FAILED":
            self._fence(registration)
            self._request_deletion(arn)
            raise WaitingError(waiter="dataset_deleted", resource=arn)
        entries = self._describe(arn)["DatasetStats"]["TotalEntries"]
        raise _not_replaced(
            failure,
            f"It was restored as {arn}, which has {entries:,} of its {replacement.count:,} entries; all of them are in "
            f"{replacement.entries}.",
        ) from failure

    @staticmethod
    def _not_restored(replacement: Replacement, failure: RekognitionDatasetError, reason: str) -> DatasetConflictError:
        return DatasetConflictError(
            "RESTORE_FAILED",
            f"The dataset could not be replaced: {failure.detail} Nor could it be restored: {reason}",
            f"All of its entries are in {replacement.entries}; the next run merges them again.",
            entries=replacement.entries,
        )

    def _restoration(self, replacement: Replacement) -> str | None:
        """The entries of an export but for those of images that are gone; None where none is left."""
        gone = {row.key for row in read_outcomes(self._run, self._plan.outcomes) if row.outcome is Outcome.REMOVED}
        if self._plan.merged and self._plan.merged.left:
            lines = read_lines(self._run.s3, S3Uri.parse(self._plan.merged.left.uri))
            gone |= {identity(read_entry(line)[0]).split("/", 3)[3] for line in lines}
        uri, kept = self._run.staged("restore.manifest"), 0
        with ObjectWriter(self._run.s3, uri, content_type=JSON_LINES) as writer:
            for line in read_export(self._run.s3, self._run.dataset, replacement):
                if ledger_key(identity(read_entry(line)[0]), self._built["bucket"]) not in gone:
                    writer.write(line + b"\n")
                    kept += 1
        return str(uri) if kept else None

    def _update(self, registration: Registration) -> None:
        arn = registration.dataset_arn
        description = self._describe(arn)
        if description["Status"].endswith("_IN_PROGRESS"):
            if registration.is_accepted:
                raise WaitingError(waiter=WAITER_OF_STATUS[description["Status"]], resource=arn)
            raise busy(self._run, arn, description["Status"])
        if registration.sending_bytes and updated_at(description) != registration.dataset_updated_at:
            if not registration.is_accepted:
                # Whose update that was, nobody can tell: the entries say whether the batch is among them.
                self._plan_again(registration)
            if description["Status"] == "UPDATE_FAILED":
                raise status_error(description, resource=arn)
            self._write(
                registration,
                sent_bytes=registration.sending_bytes,
                sending_bytes=0,
                is_accepted=False,
                dataset_updated_at=updated_at(description),
            )
            return
        end = next((end for end in self._plan.batch_ends if end > registration.sent_bytes), None)
        if end is None:
            self._write(registration, step="verify")
            return
        body = read_range(self._run.s3, S3Uri.parse(self._plan.changes), registration.sent_bytes, end)
        if registration.sending_bytes != end:
            self._write(registration, sending_bytes=end)
        begun = self._registration
        if begun is None:
            raise lease_lost(self._run)
        self._fence(begun)
        self._run.rekognition.update_dataset_entries(arn, body)
        self._write(begun, is_accepted=True)
        log.info("Sent %s of %s bytes.", f"{end:,}", f"{self._plan.batch_ends[-1]:,}")
        raise WaitingError(waiter="dataset_updated", resource=arn)

    # Verify.

    def _verify(self, registration: Registration) -> Verified:
        return verify(
            self._run,
            self._plan,
            registration.dataset_arn,
            sent=self._journal.journal.sent.get(self._plan.origin, ""),
            is_created=registration.is_created,
        )


_STEPS: Final[dict[Step, Callable[[RegistrationWork, Registration], None]]] = {
    "delete": RegistrationWork._delete,
    "create_project": RegistrationWork._create_project,
    "create": RegistrationWork._create,
    "restore": RegistrationWork._restore,
    "update": RegistrationWork._update,
}


def _s3_object(uri: str) -> dict[str, str]:
    found = S3Uri.parse(uri)
    return {"Bucket": found.bucket, "Name": found.key}


def _not_replaced(failure: RekognitionDatasetError, state: str) -> DatasetConflictError:
    """The error of a run whose replacement has failed.

    :param state: what there is now, in sentences
    """
    return DatasetConflictError(
        "REPLACEMENT_FAILED",
        f"The dataset could not be replaced: {failure.detail} {state}",
        f"{failure.remedy} Then run again: the next run merges all of these entries.",
        cause=failure.code,
    )


def lease_lost(run: ImportRun) -> DatasetConflictError:
    """The error for a run whose place another has taken."""
    return DatasetConflictError(
        "LEASE_LOST",
        f"Another run has taken over the work on this dataset: {run.dataset.registration} was changed.",
        AFTER_OTHERS,
        location=str(run.dataset.registration),
    )
