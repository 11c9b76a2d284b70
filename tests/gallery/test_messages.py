"""Pages and server say the same things: the TypeScript types are made from the Python ones."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from include.gallery import messages

WEB = Path(messages.__file__).parent / "web"


def test_the_types_of_the_pages_are_those_of_the_server() -> None:
    tool = WEB / "node_modules" / ".bin" / "json2ts"
    # Node is in the environment beside its Python.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    if not tool.exists() or not shutil.which("node", path=path):
        message = "needs the gallery's packages (make web)"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    written = subprocess.run(
        ["npm", "run", "--silent", "messages"],
        cwd=WEB,
        env=os.environ | {"PATH": path},
        input=json.dumps(messages.schema(), indent=2),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert (WEB / "src" / "api" / "messages.ts").read_text() == written, "run: make messages"


def test_the_server_writes_every_member_and_the_browser_may_leave_defaults_out() -> None:
    definitions = messages.schema()["definitions"]
    assert set(definitions["ImageRow"]["required"]) == set(definitions["ImageRow"]["properties"])
    assert definitions["View"].get("required", []) == []


@pytest.mark.parametrize("name", ["", "a" * 256, "line\nbreak", "line\rbreak", "end\n"])
def test_a_label_that_rekognition_would_not_take_is_no_label(name: str) -> None:
    demand = {"edits": [{"kind": "renaming", "old": "echo", "new": name}]}
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(json.dumps(demand).encode(), type=messages.SaveDemand)


def test_an_unknown_member_is_refused() -> None:
    demand = {"edits": [{"kind": "assignment", "ids": ["0" * 16], "asign": ["echo"]}]}
    with pytest.raises(msgspec.ValidationError, match="asign"):
        msgspec.json.decode(json.dumps(demand).encode(), type=messages.SaveDemand)
