"""The locked requirements are complete for every installer, plain pip among them (`make test-install`)."""

from __future__ import annotations

import importlib.metadata
import re
from collections import defaultdict
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).resolve().parents[1]


def pins(text: str) -> dict[str, list[set[str]]]:
    """The extras of each line by the package's name, of lines that apply to this Python."""
    found = defaultdict(list)
    for line in re.findall(r"^[a-z0-9].*?(?= \\$)", text, re.MULTILINE):
        pin = Requirement(line)
        if pin.marker is None or pin.marker.evaluate():
            found[canonicalize_name(pin.name)].append(pin.extras)
    return found


def asked(name: str, extras: set[str]) -> set[tuple[str, frozenset[str]]]:
    """The packages that a package asks for, and with which extras."""
    return {
        (canonicalize_name(wanted.name), frozenset(wanted.extras))
        for wanted in map(Requirement, importlib.metadata.requires(name) or ())
        if wanted.marker is None or any(wanted.marker.evaluate({"extra": extra}) for extra in (extras | {""}))
    }


def missing(text: str) -> set[str]:
    """The packages, and the packages with an extra, that pip would look for outside the file."""
    locked = pins(text)
    found = set()
    for name, lines in locked.items():
        for wanted, extras in asked(name, set().union(*lines)):
            found |= {wanted} if set() not in locked[wanted] else set()
            found |= {f"{wanted}[{extra}]" for extra in extras if not any(extra in line for line in locked[wanted])}
    return found


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_package_is_locked_with_the_extras_that_others_ask_for_and_without(name: str) -> None:
    text = (PROJECT / name).read_text()
    assert len(pins(text)) > 100
    assert missing(text) == set()


@pytest.mark.parametrize(
    ("line", "named"), [("celery[redis]==", "celery[redis]"), ("celery==", "celery"), ("kombu==", "kombu")]
)
def test_a_line_that_is_missing_is_noticed(line: str, named: str) -> None:
    text = (PROJECT / "requirements.txt").read_text()
    without = re.sub(rf"^{re.escape(line)}(.|\n)*?(?=^[a-z0-9])", "", text, flags=re.MULTILINE)
    assert without != text
    assert missing(without) == {named}


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_lines_of_one_package_have_the_same_version_and_hashes(name: str) -> None:
    blocks = re.findall(r"^([a-z0-9].*?) \\\n((?: +--hash=.*\n)+)", (PROJECT / name).read_text(), re.MULTILINE)
    same: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for line, hashes in blocks:
        pin = Requirement(line)
        same[f"{pin.name} {pin.marker}"].add((str(pin.specifier), hashes.strip().replace(" \\", "")))
    assert {line for line, contents in same.items() if len(contents) > 1} == set()
