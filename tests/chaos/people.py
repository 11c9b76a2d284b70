"""What people do between runs, and while runs are under way: in the bucket, in the dataset, in the gallery."""

from __future__ import annotations

import random
from collections.abc import Callable

from include.custom_labels.errors import CustomLabelsError
from include.gallery.catalog import seen_of
from include.gallery.messages import Assignment, Redrawing, Renaming
from include.gallery.messages import Box as GalleryBox
from tests.chaos.contents import Box, Said, says, write_line
from tests.chaos.datasets import Dataset, PendingSave
from tests.chaos.history import History, Running
from tests.chaos.places import View, made
from tests.chaos.promises import BrokenPromiseError

FOLDERS = ("echo", "dot", "Echo", "spot")
WORDS = ("front", "Back", "shelf", "lamp")
LABELS = ("white", "logo", "echo", "Echo Plus")

Step = Callable[[History, random.Random], None]


def pick_origin(history: History, rng: random.Random, among: str = "aaabmcdu") -> str:
    """An origin that has images, more often the first."""
    origins = [origin for origin in among if history.has_images(origin)]
    return rng.choice(origins) if origins else "a"


def _pick_folder(history: History, rng: random.Random) -> str:
    """An origin whose images lie in a folder of the bucket."""
    return pick_origin(history, rng, "aaabmcd")


# The bucket


def new_key(history: History, rng: random.Random, origin: str) -> str:
    folder = rng.choice(FOLDERS[:2] if rng.random() < 0.8 else FOLDERS)
    name = f"{rng.choice(WORDS)}-{rng.randrange(100)}.png"
    # An image at the level of the folder has no label.
    return history.folder(origin) + (name if rng.random() < 0.1 else f"{folder}/{name}")


def add(history: History, rng: random.Random) -> None:
    """New images."""
    origin = rng.choice(["a", "a", "b", "m", "c", "d"]) if rng.random() < 0.2 else _pick_folder(history, rng)
    if origin not in history.without:
        add_to(history, rng, origin)


def add_to(history: History, rng: random.Random, origin: str) -> None:
    """New images of an origin."""
    for _ in range(rng.randint(1, 3)):
        key = new_key(history, rng, origin)
        if origin == "u":
            _write_file(history, key, history.new_content())
        elif key not in history.bucket:
            history.put(key, history.new_content())
            history.say(f"{key} is added")


def delete(history: History, rng: random.Random) -> None:
    """Images are deleted; some stay."""
    keys = history.keys(_pick_folder(history, rng))
    for key in rng.sample(keys, min(len(keys) - 2, rng.randint(1, 2)) if len(keys) > 3 else 0):
        history.remove(key)
        history.say(f"{key} is deleted")


def come_back(history: History, rng: random.Random) -> None:
    """An image that was deleted, or lay elsewhere, is put back."""
    keys = sorted(history.removed.keys() - history.bucket.keys())
    if keys:
        key = rng.choice(keys)
        history.put(key, history.removed[key])
        history.say(f"{key} is back")


def _move(history: History, key: str, to: str) -> None:
    if to not in history.bucket:
        number = history.bucket[key]
        history.put(to, number)
        history.remove(key)
        history.say(f"{key} is moved to {to}")


def rename(history: History, rng: random.Random) -> None:
    """An image gets another name, which may differ in case alone."""
    keys = history.keys(_pick_folder(history, rng))
    if keys:
        key = rng.choice(keys)
        head, _, name = key.rpartition("/")
        _move(history, key, f"{head}/{name.swapcase() if rng.random() < 0.4 else f'new-{name}'}")


def relocate(history: History, rng: random.Random) -> None:
    """An image moves to another label's folder."""
    origin = _pick_folder(history, rng)
    keys = history.keys(origin)
    if keys:
        key = rng.choice(keys)
        _move(history, key, history.folder(origin) + f"{rng.choice(FOLDERS)}/{key.rpartition('/')[2]}")


def rename_folder(history: History, rng: random.Random) -> None:
    """All images of a label move."""
    origin = _pick_folder(history, rng)
    prefix = history.folder(origin)
    old, new = rng.sample(FOLDERS, 2)
    for key in history.keys(origin):
        if key.startswith(f"{prefix}{old}/"):
            _move(history, key, f"{prefix}{new}/{key.removeprefix(f'{prefix}{old}/')}")


def overwrite(history: History, rng: random.Random) -> None:
    """An image is replaced by another one, of the same or another size."""
    keys = history.images(_pick_folder(history, rng))
    if keys:
        key = rng.choice(keys)
        is_other_size = rng.random() < 0.3
        history.removed[key] = history.bucket[key]
        history.put(key, history.new_content(is_other_size=is_other_size))
        history.say(f"{key} is overwritten{' by one of another size' if is_other_size else ''}")


def copy(history: History, rng: random.Random) -> None:
    """The same image under two keys."""
    origin = _pick_folder(history, rng)
    keys, to = history.images(origin), new_key(history, rng, origin)
    if keys and to not in history.bucket:
        key = rng.choice(keys)
        history.put(to, history.bucket[key])
        history.say(f"{key} is copied to {to}")


def damage(history: History, rng: random.Random) -> None:
    """What was an image is none any more; few enough for a run to go on."""
    origin = rng.choice(["a", "b", "m"])
    keys = history.images(origin)
    damaged = len(history.keys(origin)) - len(keys)
    if len(keys) > 5 * (damaged + 1):
        key = rng.choice(keys)
        history.removed[key] = history.bucket[key]
        history.put(key, history.new_junk())
        history.say(f"{key} is damaged")


def repair(history: History, rng: random.Random) -> None:
    """Damaged images are as they were."""
    for key in sorted(history.bucket):
        if history.bucket[key] < 0 and key in history.removed:
            history.put(key, history.removed[key])
            history.say(f"{key} is repaired")


def change_computer(history: History, rng: random.Random) -> None:
    """Files of the folder that is uploaded are others: more, fewer, the same under another name, or no images."""
    names = sorted(history.computer)
    if not names:
        return
    kind = rng.random()
    if kind < 0.5:
        add_to(history, rng, "u")
    elif kind < 0.65:
        _write_file(history, new_key(history, rng, "u"), history.computer[rng.choice(names)])
    elif kind < 0.75:
        _write_file(history, history.folder("u") + rng.choice(names), history.new_content())
    elif kind < 0.8 and len(names) > 6:
        _write_file(history, new_key(history, rng, "u"), history.new_junk())
    else:
        for name in rng.sample(names, rng.choice([1, len(names) - 1])):
            (history.place.computer / name).unlink()
            del history.computer[name]
            history.say(f"{name} is deleted on the computer")


def _write_file(history: History, key: str, number: int) -> None:
    name = key.removeprefix(history.folder("u"))
    path = history.place.computer / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(made(number).data)
    history.computer[name] = number
    history.say(f"{name} is written on the computer")


def fill_computer(history: History, rng: random.Random, count: int) -> None:
    """The first files of the folder that is uploaded."""
    for _ in range(count):
        _write_file(history, new_key(history, rng, "u"), history.new_content())


# The dataset


def _drawn(dataset: Dataset, rng: random.Random, key: str) -> Said:
    """Boxes on the image that the dataset shows."""
    size = dataset.place.shown_size(key) or (64, 64)
    count = rng.randint(1, 2)
    boxes = [Box(rng.choice(LABELS), rng.randrange(1, 20), rng.randrange(1, 20), 20, 20) for _ in range(count)]
    labels = rng.sample(LABELS, rng.randint(0, 1))
    return Said(frozenset(labels), frozenset(boxes), size)


def _labelled_keys(history: History, dataset: Dataset) -> list[str]:
    """Of entries whose images are there."""
    entries = dataset.place.entries()
    return sorted(key for key in entries if history.bucket.get(key, -1) >= 0)


def edit(history: History, rng: random.Random) -> None:
    """A person labels images in the console: other labels, none at all, or boxes."""
    dataset = history.pick_dataset(rng)
    keys = _labelled_keys(history, dataset)
    entries: dict[str, Said] = {}
    for key in rng.sample(keys, min(len(keys), rng.randint(1, 2))):
        kind = rng.random()
        if kind < 0.45:
            entries[key] = says(*rng.sample(LABELS, rng.randint(1, 2)))
        elif kind < 0.6:
            entries[key] = Said()
        elif kind < 0.7 and key in (sent := dataset.truth.brought(key.split("/")[1]).sent):
            entries[key] = sent[key]
        else:
            entries[key] = _drawn(dataset, rng, key)
    _send(history, dataset, entries)


def label_elsewhere(history: History, rng: random.Random) -> None:
    """A person adds an image to the dataset that no import knows."""
    dataset = history.pick_dataset(rng)
    key = f"{history.place.name}/x/by-hand-{rng.randrange(5)}.png"
    if dataset.place.arn:
        history.put(key, history.bucket.get(key, history.new_content()))
        _send(history, dataset, {key: says("by hand", rng.choice(LABELS))})


def _send(history: History, dataset: Dataset, entries: dict[str, Said]) -> None:
    if not entries:
        return
    is_sent = dataset.place.update(entries)
    told = ", ".join(f"{key} {said}" for key, said in entries.items())
    history.say(f"a person says: {told}" + ("" if is_sent else " (refused)"))
    if is_sent:
        history.tally.add("edits in the console")
        actual = dataset.place.entries()
        for key, said in entries.items():
            if actual.get(key) != said:
                raise BrokenPromiseError("the harness knows the service", f"{key} says {actual.get(key)}, not {said}")
            dataset.truth.edit(key, said)


def delete_dataset(history: History, rng: random.Random) -> None:
    """A person deletes the dataset."""
    dataset = history.pick_dataset(rng)
    exported = View(dataset.place).export
    if dataset.place.delete_dataset():
        history.say(f"a person deletes the {dataset.type} dataset")
        history.tally.add("datasets deleted by hand")
        dataset.truth.delete(exported, is_raced=bool(history.under_way))


def create_dataset(history: History, rng: random.Random) -> None:
    """Somebody else creates the dataset of a few of its images, where it is gone just now."""
    gone = [each for each in history.datasets.values() if each.place.is_free and each.truth.entries]
    dataset = gone[0] if history.is_split and gone else history.datasets["train"]
    keys = [key for key in history.images("a") if not history.is_split or key in dataset.truth.entries]
    entries = {key: says("somebody else's") for key in rng.sample(keys, min(len(keys), 3))}
    if entries and dataset.place.is_free and dataset.place.create_dataset(entries):
        history.say(f"somebody else creates the {dataset.type} dataset with {sorted(entries)}")
        history.tally.add("datasets created by others")
        for key, said in entries.items():
            dataset.truth.edit(key, said)


# The gallery


def begin_save(history: History, dataset: Dataset, rng: random.Random) -> PendingSave | None:
    """A person saves edits in the gallery; None where that is refused at once."""
    place = dataset.place
    entries = place.entries()
    keys = sorted(key for key in entries if history.bucket.get(key, -1) >= 0)
    if not keys:
        return None
    edits: dict[str, Callable[[Said], Said]] = {}
    demand: Assignment | Redrawing | Renaming
    kind = rng.random()
    if kind < 0.5:
        chosen = rng.sample(keys, min(len(keys), rng.randint(1, 3)))
        assign, remove = rng.sample(LABELS, 1), rng.sample(LABELS + FOLDERS[:2], rng.randint(0, 1))
        remove = [label for label in remove if label not in assign]
        demand = Assignment(ids=[place.image_id(key) for key in chosen], assign=assign, remove=remove)

        def assigned(said: Said) -> Said:
            return said._replace(labels=(said.labels | set(assign)) - set(remove))

        edits = dict.fromkeys(chosen, assigned)
        told = f"+{assign} -{remove} for {chosen}"
    elif kind < 0.75:
        key = rng.choice(keys)
        drawn = _drawn(dataset, rng, key)
        demand = Redrawing(
            id=place.image_id(key),
            seen=seen_of(write_line(place.refs()[key], entries[key]).encode()),
            labels=sorted(drawn.labels),
            boxes=[
                GalleryBox(label=box.label, left=box.left, top=box.top, width=box.width, height=box.height)
                for box in drawn.boxes
            ],
        )
        edits = {key: lambda _: drawn}
        told = f"{key} {drawn}"
    else:
        old, new = rng.sample(LABELS + FOLDERS[:2], 2)
        demand = Renaming(old=old, new=new)

        def renamed(said: Said) -> Said:
            boxes = frozenset(box._replace(label=new) if box.label == old else box for box in said.boxes)
            return said._replace(labels=frozenset(new if label == old else label for label in said.labels), boxes=boxes)

        edits = dict.fromkeys(entries, renamed)
        told = f"{old} is {new}"
    try:
        save_id = place.begin_save(demand)
    except CustomLabelsError as error:
        history.say(f"the gallery refuses a save ({told}): {error.code}")
        history.tally.add("saves: refused")
        return None
    history.say(f"a person saves in the gallery: {told}")
    return PendingSave(save_id, edits, {key: place.image_id(key) for key in edits})


def save(history: History, rng: random.Random) -> None:
    """A save while nothing else happens."""
    _save(history, history.pick_dataset(rng), rng)


def _save(history: History, dataset: Dataset, rng: random.Random) -> None:
    before = dataset.place.entries()
    pending = begin_save(history, dataset, rng)
    if pending is None:
        return
    ended = dataset.place.ended_save(pending.save_id)
    history.tally.add(f"saves: {ended.state}")
    history.say(f"  save {ended.save_id} {ended.state} {ended.problem.code if ended.problem else ''}")
    actual = dataset.place.entries()
    expected = dict(before)
    if ended.state == "saved":
        left_out = {each.id for each in (*ended.conflicts, *ended.refusals)}
        for key, change in pending.edits.items():
            if pending.image_ids[key] not in left_out:
                expected[key] = change(before[key])
    if actual != expected:
        wrong = [
            f"{key} says {actual.get(key)}, not {expected.get(key)}"
            for key in sorted({*actual, *expected})
            if actual.get(key) != expected.get(key)
        ]
        raise BrokenPromiseError("a save changes what it was asked to", "; ".join(wrong))
    for key, said in actual.items():
        if said != before[key]:
            dataset.truth.edit(key, said)


def save_meanwhile(history: History, rng: random.Random, running: Running) -> None:
    """A save that begins while a run is held, and goes on with it."""
    dataset = history.pick_dataset(rng)
    part = next((each for each in running.parts if each.dataset is dataset and not each.was_done), None)
    if part is None:
        _save(history, dataset, rng)
    elif pending := begin_save(history, dataset, rng):
        part.saves.append(pending)
