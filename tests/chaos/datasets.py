"""The two datasets of a history's project, and what a run does in each of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.chaos.commands import DatasetType
from tests.chaos.contents import Said
from tests.chaos.model import Arrivals, Expectation, Import, Source, Truth
from tests.chaos.places import Place
from tests.chaos.splits import Sides


@dataclass(slots=True)
class Dataset:
    """A dataset, and the truth about it.

    :ivar announced: contents of which those who wait for the dataset were told last
    :ivar events: asset events of it so far
    """

    place: Place
    truth: Truth = field(default_factory=Truth)
    announced: list[Mapping[str, Said]] = field(default_factory=list)
    events: int = 0

    @property
    def type(self) -> DatasetType:
        return self.place.dataset_type


@dataclass(slots=True)
class PendingSave:
    """A save of the gallery that goes on while a run does.

    :ivar edits: what it makes of what an entry says, by key
    """

    save_id: str
    edits: Mapping[str, Callable[[Said], Said]]
    image_ids: Mapping[str, str]


@dataclass(slots=True, kw_only=True)
class Share:
    """What a run finds for a dataset.

    :ivar arriving: work that comes from the other dataset
    :ivar is_empty: whether a split gives it no image, and takes nothing from it
    """

    source: Source
    arriving: Arrivals = field(default_factory=Arrivals)
    is_empty: bool = False


@dataclass(slots=True, kw_only=True, eq=False)
class Part:
    """A run in one of its datasets.

    :ivar share: None as long as the run has not divided its images
    :ivar was_done: whether the run has ended here and was judged, maybe before its process began
    :ivar sides: where a split's images were when the process began
    :ivar overtaken_at: when another run registered the dataset while this one was under way, as `current.json` says
    """

    dataset: Dataset
    share: Share | None
    was_done: bool
    sides: Sides
    arn_before: str
    registered_before: str
    edits_before: int
    overtaken_at: str = ""
    saves: list[PendingSave] = field(default_factory=list)

    def expect(self, asked: Import) -> Expectation:
        """What the run leaves here, if it is green."""
        if self.share is None:
            return Expectation(accepted={}, moved={})
        return self.dataset.truth.expect(asked, self.share.source, self.share.arriving)
