"""What exists is documented, and what is documented exists."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.fixtures.debian_packages import PACKAGE_OF_COMMAND
from tests.fixtures.pictures import is_blank

PROJECT = Path(__file__).resolve().parents[1]
README = (PROJECT / "README.md").read_text()
SOURCE_PAGES = sorted(f"docs/sources/{page.name}" for page in (PROJECT / "docs" / "sources").glob("*.md"))
DEPLOY_PAGES = sorted(f"docs/deploy/{page.name}" for page in (PROJECT / "docs" / "deploy").glob("*.md"))
MAKEFILE = (PROJECT / "Makefile").read_text()
# Read by others than us: Airflow, AWS's SDKs, pip and uv, the shell.
FOREIGN_VARIABLES = re.compile(
    r"(AIRFLOW_(?!PORT)|AWS_|PIP_|UV_|WEED_|PYTHON).*|PATH|HOME|CI|NO_PROXY|no_proxy|NO_COLOR|DEBIAN_FRONTEND"
)
# Set by one process of ours for the next, and by nobody else.
INNER_VARIABLES = {"DEMO_AIRFLOW"}


def table_names(markdown: str) -> set[str]:
    """What stands in the first cell of a table's rows, in code."""
    return set(re.findall(r"^\| `([^`]+)` \|", markdown, re.MULTILINE))


def sources(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((PROJECT / folder).rglob("*.py"))]


def test_every_make_target_is_in_the_readme_with_its_help() -> None:
    targets = dict(re.findall(r"^([a-z-]+):.*## (.+)$", MAKEFILE, re.MULTILINE))
    documented = dict(re.findall(r"^\| `make ([a-z-]+)` \| (.+) \|$", README, re.MULTILINE))
    assert documented == targets
    assert set(re.findall(r"^\.PHONY: ([a-z-]+)$", MAKEFILE, re.MULTILINE)) == targets.keys()


def test_the_quickstart_is_what_ci_runs() -> None:
    (quickstart,) = re.findall(r"```sh\n(make demo\n.*?)```", README, re.DOTALL)
    assert quickstart.split("\n") == ["make demo", "make test", ""]
    assert "\nmake test\n" in (PROJECT / ".ci" / "run").read_text()


def test_every_environment_variable_is_in_the_readme_or_in_local_awss_page() -> None:
    documented = table_names(README) | set(
        re.findall(r"`([A-Z][A-Z0-9_]+)`", (PROJECT / "docs" / "local-aws.md").read_text())
    )
    pattern = re.compile(r"""(?:environ(?:\.get|\.pop)?[\[(]|getenv\(|envvar=|environment, )["'](\w+)["']""")
    used = {
        name
        for path in sources("include", "dags", "plugins", "demo", "bench")
        for name in pattern.findall(path.read_text())
    } | set(re.findall(r"^export ([A-Z]+)$", MAKEFILE, re.MULTILINE))
    ours = {name for name in used if not FOREIGN_VARIABLES.fullmatch(name)} | {"PYTHON"}
    assert ours >= {"S3_PORT", "DEMO_DIR", "IMAGES", "PYTHON"}
    assert ours - INNER_VARIABLES <= documented


@pytest.mark.parametrize("source", ["s3_folder", "local_computer", "ground_truth", "existing_dataset"])
def test_every_parameter_of_a_form_is_documented_with_its_default(source: str) -> None:
    from include.pipelines.requests import REQUEST_TYPES, form

    page = README if source == "s3_folder" else (PROJECT / f"docs/sources/{source.replace('_', '-')}.md").read_text()
    (section,) = re.findall(r"## Parameters\n(.*?)(?:\n## |\Z)", page, re.DOTALL)
    documented = dict(re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", section, re.MULTILINE))
    defaults = {name: param.value for name, param in form(REQUEST_TYPES[source]).items()}
    written = {name: default if isinstance(default, str) else json.dumps(default) for name, default in defaults.items()}
    assert documented == written


def raised_codes(path: Path) -> set[str]:
    """Codes that are written out where an error of ours is made: the first argument of a call of an error class."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            value = node.args[0].value
            if (
                name.endswith("Error")
                and isinstance(value, str)
                and re.fullmatch(r"[A-Z][A-Z0-9]+(_[A-Z0-9]+)+", value)
            ):
                found.add(value)
    return found


def test_every_error_code_is_in_the_page_of_error_codes() -> None:
    page = (PROJECT / "docs" / "error-codes.md").read_text()
    documented = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", page))
    packages = ("custom_labels", "object_store", "pipelines", "rekognition", "gallery")
    codes = {code for package in packages for path in sources(f"include/{package}") for code in raised_codes(path)}
    assert {"UNKNOWN_PARAMETER", "INVALID_S3_LOCATION"} <= codes
    assert codes - documented == set()


def test_every_risk_and_every_suspicious_name_is_in_the_page_of_error_codes() -> None:
    from include.custom_labels import risks
    from include.custom_labels.advice import advise

    page = (PROJECT / "docs" / "error-codes.md").read_text()
    (section,) = re.findall(r"\n## Risks\n(.*?)(?:\n## |\Z)", page, re.DOTALL)
    documented = dict(re.findall(r"^\| `([A-Z_]+)` \| (.+) \|$", section, re.MULTILINE))
    assert documented == {str(risk): advise(risk, risk.explanation) for risk in risks.Risk}
    kinds = {"split": risks.SPLIT_NAMES, "container": risks.CONTAINER_NAMES, "leftover": risks.LEFTOVER_NAMES}
    for kind, names in kinds.items():
        (row,) = re.findall(rf"^\| {kind} \| (.+) \|$", section, re.MULTILINE)
        assert set(re.findall(r"`([^`]+)`", row)) == names


def test_every_dag_is_in_the_readme() -> None:
    dag_ids = {path.stem for path in (PROJECT / "dags").glob("*.py") if path.stem != "__init__"}
    assert dag_ids
    assert {dag_id for dag_id in dag_ids if f"`{dag_id}`" not in README} == set()


@pytest.mark.parametrize("record", sorted((PROJECT / "docs" / "adr").glob("*.md")), ids=lambda record: record.stem)
def test_a_decision_record_says_why_what_and_what_would_violate_it(record: Path) -> None:
    assert re.fullmatch(r"\d{4}-[a-z0-9-]+", record.stem)
    text = record.read_text()
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "What would violate it"]
    assert re.match(rf"# {int(record.stem[:4])}\. \S", text)


def test_decision_records_are_numbered_once() -> None:
    numbers = [record.stem[:4] for record in (PROJECT / "docs" / "adr").glob("*.md")]
    assert sorted(set(numbers)) == sorted(numbers)


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "docs/as-of.md",
        "docs/datasets.md",
        "docs/local-aws.md",
        "docs/error-codes.md",
        "docs/split.md",
        "docs/refreshes.md",
        *SOURCE_PAGES,
        *DEPLOY_PAGES,
    ],
)
def test_local_links_and_named_files_exist(page: str) -> None:
    text = (PROJECT / page).read_text()
    folder = (PROJECT / page).parent
    links = {link.partition("#")[0] for link in re.findall(r"\]\((?!https?:)([^)#][^)]*)\)", text)}
    assert {link for link in links if not (folder / link).exists()} == set()
    named = set(re.findall(r"`((?:docs|include|tests|dags|demo|bench|scripts)/[\w./-]+)`", text))
    assert {name for name in named if not (PROJECT / name).exists()} == set()


PICTURES = sorted((PROJECT / "docs" / "images").glob("*.png"))


def test_no_picture_is_blank() -> None:
    assert [picture.name for picture in PICTURES if is_blank(picture.read_bytes())] == []


def test_every_picture_is_shown_and_taken_by_an_end_to_end_test() -> None:
    """`make pictures` takes them again, and none in another way: only what takes them refuses blank ones."""
    names = {picture.stem for picture in PICTURES}
    pages = [PROJECT / "README.md", *(PROJECT / "docs").rglob("*.md")]
    assert {name for page in pages for name in re.findall(r"images/([\w-]+)\.png", page.read_text())} == names
    tests = {path: path.read_text() for path in sources("tests")}
    assert {name for text in tests.values() for name in re.findall(r'pictures\.take\("([\w-]+)"', text)} == names
    assert [path.name for path, text in tests.items() if ".screen" + "shot(" in text] == ["pictures.py"]


def test_every_requirement_says_why_it_is_there() -> None:
    for name in ("requirements.in", "requirements-dev.in"):
        for line in (PROJECT / name).read_text().splitlines():
            if line and not line.startswith(("#", "-")):
                assert re.search(r"\s# \S", line), line


def test_every_locked_package_has_hashes() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        blocks = re.split(r"\n(?=[a-z0-9])", (PROJECT / name).read_text())
        pinned = [block for block in blocks if "==" in block.splitlines()[0]]
        assert len(pinned) > 100
        assert [block.splitlines()[0] for block in pinned if "--hash=sha256:" not in block] == []


def test_ci_installs_every_package_that_a_test_can_ask_for() -> None:
    (packages,) = re.findall(r'^packages="(.+)"$', (PROJECT / ".ci" / "run").read_text(), re.MULTILINE)
    assert set(PACKAGE_OF_COMMAND.values()) <= set(packages.split())


def test_commit_hooks_use_the_projects_own_tools() -> None:
    configuration = yaml.safe_load((PROJECT / ".pre-commit-config.yaml").read_text())
    assert [repository["repo"] for repository in configuration["repos"]] == ["local"]
    hooks = configuration["repos"][0]["hooks"]
    assert {hook["language"] for hook in hooks} == {"system"}
    assert all(hook["entry"].startswith((".venv/bin/", "make ")) for hook in hooks)


def test_imports_keep_their_direction() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"], cwd=PROJECT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_import_rule_catches_an_upward_import(tmp_path: Path) -> None:
    """The contracts are not vacuous: a domain module that imports Airflow breaks one."""
    for name in ("include", "dags", "plugins", "demo", "bench"):
        shutil.copytree(PROJECT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "results", "web"))
    (tmp_path / "pyproject.toml").write_text((PROJECT / "pyproject.toml").read_text())
    (tmp_path / "include" / "custom_labels" / "upward.py").write_text("from include.pipelines import requests\n")
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "include.custom_labels.upward -> include.pipelines.requests" in done.stdout
