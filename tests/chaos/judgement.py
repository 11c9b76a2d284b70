"""What a run has left in one dataset, held against the model and the promises."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from include.gallery.messages import Save
from tests.chaos import promises
from tests.chaos.commands import LAST, PLANNING, task_id
from tests.chaos.contents import Said
from tests.chaos.datasets import Part, PendingSave
from tests.chaos.model import Expectation
from tests.chaos.places import View
from tests.chaos.promises import BrokenPromiseError

if TYPE_CHECKING:
    from tests.chaos.history import History, Running


@dataclass
class Judgement:
    """Of a part of a run, which has ended, or is held.

    :ivar done: what the run's tasks have returned so far
    :ivar expected: what the run leaves, if it is green; made before any part is settled
    """

    history: History
    running: Running
    part: Part
    done: Mapping[str, Any]
    expected: Expectation

    @cached_property
    def view(self) -> View:
        return View(self.part.dataset.place)

    @property
    def is_green(self) -> bool:
        """Whether all tasks of this dataset have ended well, whatever becomes of those of the other one."""
        return task_id(self.part.dataset.type, LAST) in self.done

    @property
    def action(self) -> str:
        action: str = self._task("register")["plan"]["action"]
        return action

    @property
    def snapshot_id(self) -> str:
        snapshot_id: str = self._task("publish_snapshot")["snapshot_id"]
        return snapshot_id

    def _task(self, task: str) -> Any:
        return self.done.get(task_id(self.part.dataset.type, task))

    def look(self) -> None:
        """Take over what a run has written so far that is held."""
        if self._task(PLANNING) is None or self.part.share is None:
            return
        self._check_unfinished(self.expected, self.view.entries, may_change=True)
        self._observe(self.expected, self.view.entries)

    def hold(self, *, may_change: bool, is_cleared: bool = False) -> None:
        """Hold the promises against what a run has left.

        :param may_change: False for a run that was overtaken: it may not change anything any more
        :param is_cleared: whether the run has found its source long ago
        """
        running, part, view = self.running, self.part, self.view
        truth, asked = part.dataset.truth, running.asked
        saved = self._end_saves()
        actual = view.entries | saved
        late = truth.edited_since(part.edits_before)
        expected = _and_as_it_is(self.expected, {**late, **saved})
        source = part.share.source if part.share else None
        is_deleted = running.meanwhile is not None and not view.arn
        if self.is_green and source is not None:
            self._check_superseded()
            promises.what_was_brought_is_there(part.dataset.place, source)
            rows = view.ledger(self.snapshot_id)
            promises.ledger_partitions_the_listing(rows, asked, source)
            may_change = may_change and asked.register and self.action != "superseded"
            if self.action == "unchanged" and part.overtaken_at:
                # It found everything as it was before the other run, and has nothing to say of what that one did; or
                # it planned again, and then it is judged like any other.
                may_change = may_change and view.current["registered_at"] != part.overtaken_at
        if self.is_green and source is not None and may_change and not is_deleted:
            if running.source.is_refused:
                raise BrokenPromiseError("a run without usable images fails", f"{running.run_id} is green")
            left = self._left()
            promises.dataset_equals_the_model(truth, _or_none(expected, left), actual)
            if view.current["dataset_updated_at"] == view.updated_at:
                promises.counts_are_the_datasets(view)
            is_new = view.arn != part.arn_before
            overwritten = truth.settle(
                asked, source, expected, actual, is_new=is_new, edits=part.edits_before, left=left
            )
            # What a save took away that the run waited for, the run did not overwrite.
            given_way = {key: said for key, said in overwritten.items() if key not in saved}
            promises.what_is_overwritten_is_kept(part.dataset.place, view, self.snapshot_id, given_way)
            if asked.is_past and running.meanwhile is None and not is_cleared:
                promises.entries_name_images_as_they_were(part.dataset.place, source)
            self._check_announced(actual, view.entries, is_alone=running.meanwhile is None)
            if running.meanwhile is None and len(self.history.under_way) == 1:
                has_written = self.action != "unchanged"
                promises.journal_is_closed(view, running.run_id, has_written=has_written)
            self.history.note_overtaken(running, part.dataset, view)
        else:
            is_empty = part.share is not None and part.share.is_empty
            if is_empty and running.is_green and running.meanwhile is None and not is_cleared:
                # There was nothing to do, so that there is nothing of the import's that is gone.
                promises.dataset_equals_the_model(truth, expected, actual)
            self._check_unfinished(expected, actual, may_change=may_change)
            if may_change:
                self._observe(expected, actual)
            if self._has_announced():
                # It was killed when it had told of the dataset already.
                part.dataset.announced = [actual, view.entries]
        part.dataset.events = len(part.dataset.place.events())
        for key in saved:
            truth.edit(key, view.entries[key])

    def _left(self) -> dict[str, Said]:
        """What a green run has left in the export for the import that brought it: entries whose images are gone.

        A run that finds nothing changed does not look whether the images have come back.
        """
        return {
            key: said
            for key, said in self.view.export.items()
            if key not in self.view.entries and (self.action == "unchanged" or key not in self.history.bucket)
        }

    def _observe(self, expected: Expectation, actual: Mapping[str, Said]) -> None:
        share = self.part.share
        if share is not None:
            truth = self.part.dataset.truth
            truth.observe(self.running.asked, share.source, expected, actual, self.view.export)

    def _check_superseded(self) -> None:
        if self.action != "superseded":
            return
        asked, as_of = self.running.asked, self.view.registered_as_of(self.running.command.conf)
        if asked.run_type != "scheduled" or asked.as_of >= as_of:
            raise BrokenPromiseError("only an older scheduled run is superseded", f"{asked.as_of}, {as_of}")

    def _check_announced(self, *contents: Mapping[str, Said], is_alone: bool) -> None:
        """Anyone who waits for the dataset has been told of its content.

        :param contents: before and after a save that went on while the run did, of which it told
        """
        dataset = self.part.dataset
        if self._has_announced():
            dataset.announced = [*contents]
        elif is_alone and contents[0] not in dataset.announced and "events" not in self.history.without:
            raise BrokenPromiseError("a changed dataset is announced", "no event since it was another one")

    def _has_announced(self) -> bool:
        return len(self.part.dataset.place.events()) > self.part.dataset.events

    def _check_unfinished(self, expected: Expectation, actual: Mapping[str, Said], *, may_change: bool) -> None:
        """What a run leaves that fails, or registers nothing, is what was there, or what it was about to write."""
        dataset, exported = self.part.dataset, self.view.export
        others = self.history.expectations(dataset, besides=self.running)
        expectations = [expected, *others] if may_change else others
        wrong = []
        for key in sorted({*dataset.truth.entries, *actual}):
            said = actual.get(key)
            entry = dataset.truth.entries.get(key)
            if dataset.truth.accepts(key, said, expectations):
                continue
            if said is None and entry is not None and exported.get(key) == entry.said:
                continue
            wrong.append(f"{key} says {said}, and said {entry.said if entry else None}")
        if wrong:
            raise BrokenPromiseError("a run leaves what was there, or what it was to write", "; ".join(wrong))

    # Saves of the gallery that went on

    def _end_saves(self) -> dict[str, Said]:
        """Wait for saves that went on; what the entries that they changed said before, by key."""
        before: dict[str, Said] = {}
        for pending in self.part.saves:
            save = self.part.dataset.place.ended_save(pending.save_id)
            self.history.say(f"  save {save.save_id} {save.state}: {save.problem.code if save.problem else ''}")
            self.history.tally.add(f"saves: {save.state}")
            if save.state != "saved":
                continue
            before |= self._before_save(pending, save)
        return before

    def _before_save(self, pending: PendingSave, save: Save) -> dict[str, Said]:
        truth, expected = self.part.dataset.truth, self.expected
        actual = self.part.dataset.place.entries()
        left_out = {each.id for each in (*save.conflicts, *save.refusals)}
        found: dict[str, Said] = {}
        for key, edit in pending.edits.items():
            if pending.image_ids[key] in left_out:
                continue
            entry = truth.entries.get(key)
            if key not in actual:
                if entry is not None and None in expected.accepted.get(key, ()):
                    # The run has waited for the save, and taken the image out of the dataset then.
                    truth.edit(key, edit(entry.said))
                continue
            possible = [*expected.accepted.get(key, ()), entry.said if entry else None]
            said = next((each for each in possible if each is not None and edit(each) == actual[key]), None)
            if said is None and entry is not None and self._is_overwritten(key, actual[key]):
                truth.edit(key, edit(entry.said))
                continue
            if said is None:
                raise BrokenPromiseError(
                    "a save changes what it was asked to",
                    f"{key} says {actual[key]} after a save of one of {list(map(str, possible))}",
                )
            found[key] = said
        return found

    def _is_overwritten(self, key: str, said: Said) -> bool:
        """Whether a run came after a save that was asked to let nobody's work stand."""
        return self.running.asked.human_edits == "overwrite" and said in self.expected.accepted.get(key, ())


def _or_none(expected: Expectation, keys: Iterable[str]) -> Expectation:
    """The same, where the dataset may be without these entries."""
    accepted = {key: expected.accepted.get(key, frozenset()) | {None} for key in keys}
    return replace(expected, accepted={**expected.accepted, **accepted})


def _and_as_it_is(expected: Expectation, said: Mapping[str, Said]) -> Expectation:
    """A run may have seen an edit or a save that came while it was under way, or have looked for the last time before.

    :param said: what these entries said after the edit, and before the save, by key
    """
    accepted = {key: expected.accepted.get(key, frozenset()) | {each} for key, each in said.items()}
    return replace(expected, accepted={**expected.accepted, **accepted})
