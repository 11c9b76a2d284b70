"""From a listing to the first entry in the ledger: which objects are images, and what their label is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import translate

from include.custom_labels.file_names import skip_reasons
from include.custom_labels.folders import label_runs
from include.custom_labels.history import holds_copies, is_copy
from include.custom_labels.label_names import is_allowed
from include.custom_labels.ledger import LedgerPage, State
from include.custom_labels.objects import ObjectPage
from include.custom_labels.quotas import MAX_LABEL_NAME_LENGTH
from include.custom_labels.reasons import Reason


@dataclass(frozen=True, slots=True)
class FolderLabelling:
    """How the objects of one S3 folder location are labelled.

    :ivar prefix: empty, or ending with a slash (`S3FolderLocation.prefix`)
    :ivar automatic_labeling: whether images get the name of their folder
    :ivar label_aliases: label to use in place of a folder's name
    :ivar exclude: shell-style patterns, matched with the whole key below the location; ``*`` also matches slashes
    :ivar as_of: ``YYYY-MM-DDTHH:MM:SS`` UTC; objects written after it are skipped; empty for no limit
    """

    prefix: str
    automatic_labeling: bool = True
    label_aliases: Mapping[str, str] = field(default_factory=dict)
    exclude: Sequence[str] = ()
    as_of: str = ""

    def open_ledger(self, page: ObjectPage) -> LedgerPage:
        """The page's objects in their first state, by name, folder and time alone.

        :param page: objects below `prefix`, in listing order
        """
        size = len(page)
        states = [State.UNLABELLED] * size
        labels: list[str | None] = [None] * size
        reasons = [Reason.AUTOMATIC_LABELING_OFF] * size
        if self.automatic_labeling:
            for start, stop, folder in label_runs(page.keys, self.prefix):
                state, label, reason = self._place(folder, page.keys[start])
                count = stop - start
                states[start:stop] = [state] * count
                labels[start:stop] = [label] * count
                reasons[start:stop] = [reason] * count
        for at, skip in self._skips(page):
            states[at], labels[at], reasons[at] = State.SKIPPED, None, skip
        return LedgerPage(page, states, labels, reasons, [""] * size, [0] * size, [0] * size)

    def place(self, key: str) -> tuple[State, str | None, Reason]:
        """State, label and reason of one key, by name alone.

        :raises ValueError: the key does not lie below the folder
        """
        page = self.open_ledger(ObjectPage([key], [0], [""], [""]))
        return page.states[0], page.labels[0], page.reasons[0]

    def _place(self, folder: str | None, key: str) -> tuple[State, str | None, Reason]:
        if folder is None:
            nameless = "/" in key[len(self.prefix) :]
            return State.UNLABELLED, None, Reason.EMPTY_FOLDER_NAME if nameless else Reason.AT_FOLDER_LEVEL
        label = self.label_aliases.get(folder, folder)
        if len(label) > MAX_LABEL_NAME_LENGTH.value:
            return State.REJECTED, label, Reason.LABEL_TOO_LONG
        if not is_allowed(label):
            return State.REJECTED, label, Reason.LABEL_NOT_ALLOWED
        return State.LABELLED, label, Reason.IN_FOLDER

    def _skips(self, page: ObjectPage) -> list[tuple[int, Reason]]:
        """Places of objects that are not looked at.

        The reason of the name goes before a pattern's and the time's, and the one of the history folder before all.
        """
        skips: dict[int, Reason] = {}
        if self.as_of and max(page.last_modified, default="") > self.as_of:
            late = (at for at, written in enumerate(page.last_modified) if written > self.as_of)
            skips.update(dict.fromkeys(late, Reason.NEWER_THAN_AS_OF))
        if self.exclude:
            pattern = re.compile("|".join(translate(glob) for glob in self.exclude))
            start = len(self.prefix)
            matches = (at for at, key in enumerate(page.keys) if pattern.match(key, start))
            skips.update(dict.fromkeys(matches, Reason.EXCLUDED))
        for at, reason in enumerate(skip_reasons(page.keys) or ()):
            if reason is not None:
                skips[at] = reason
        if holds_copies(page.keys):
            skips.update((at, Reason.HISTORY_COPY) for at, key in enumerate(page.keys) if is_copy(key))
        return list(skips.items())
