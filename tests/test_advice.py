"""Advice names parameters that its reader can set: those of the import's source, and no others."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.custom_labels.advice import BY_PARAMETER, advise
from include.custom_labels.codes import Code
from include.custom_labels.reasons import Reason
from include.custom_labels.risks import Risk
from include.pipelines.requests import REQUEST_TYPES, SplitRequest

PROJECT = Path(__file__).resolve().parents[1]
PARAMETERS = {source: set(request_type.__struct_fields__) for source, request_type in REQUEST_TYPES.items()}
EVERY = set().union(*PARAMETERS.values())
COMMON = set.intersection(*PARAMETERS.values())
TEXTS = {
    **{str(reason): reason.explanation for reason in Reason},
    **{str(risk): risk.explanation for risk in Risk},
    **{str(code): f"{code.message} {code.next_step}" for code in Code},
}
OWNERS = {
    "include/custom_labels/coco.py": {"ground_truth"},
    "include/custom_labels/csv_labels.py": {"ground_truth"},
    "include/custom_labels/entries.py": {"ground_truth"},
    "include/custom_labels/ground_truth.py": {"ground_truth"},
    "include/custom_labels/pascal_voc.py": {"ground_truth"},
    "include/custom_labels/image_groups.py": {
        source for source, request_type in REQUEST_TYPES.items() if issubclass(request_type, SplitRequest)
    },
    "include/custom_labels/local_files.py": {"local_computer"},
    "include/object_store/uploads.py": {"local_computer"},
    "include/pipelines/annotation_rows.py": {"ground_truth"},
    "include/pipelines/past_folder.py": {"s3_folder"},
    "include/pipelines/requests/split.py": {
        source for source, request_type in REQUEST_TYPES.items() if issubclass(request_type, SplitRequest)
    },
    **{f"include/pipelines/{source}.py": {source} for source in REQUEST_TYPES},
    **{f"include/pipelines/requests/{source}.py": {source} for source in REQUEST_TYPES},
}
"""Modules that only some sources use, with these sources; every other one is used by all."""


def named(text: str) -> set[str]:
    """The parameters that stand in a text between backticks, alone or with a value."""
    return {name for name in re.findall(r"`([a-z_]+)(?:: [^`]*)?`", text) if name in EVERY}


def test_texts_name_parameters() -> None:
    assert named("`exclude`, `removals: hold`, `entries.manifest` and `no_parameter`") == {"exclude", "removals"}


@pytest.mark.parametrize("source", PARAMETERS)
@pytest.mark.parametrize("code", sorted(TEXTS))
def test_what_a_code_advises_can_be_done_with_the_source(source: str, code: str) -> None:
    assert named(advise(code, TEXTS[code], PARAMETERS[source])) <= PARAMETERS[source]
    # Where the source is not known, only what every source has is named.
    assert named(TEXTS[code]) <= COMMON


def test_what_a_parameter_can_do_names_it_and_belongs_to_a_code() -> None:
    assert BY_PARAMETER.keys() <= TEXTS.keys()
    for code, sentences in BY_PARAMETER.items():
        assert sentences.keys() <= EVERY - COMMON, code
        for parameter, sentence in sentences.items():
            assert sentence.endswith("."), sentence
            assert named(sentence) <= {parameter}, sentence
        assert advise(code, "Text.", PARAMETERS["local_computer"]).startswith("Text.")


def messages() -> Iterator[tuple[str, int, str]]:
    """Module, line and text of everything that is said where an error of ours is made."""
    for package in ("custom_labels", "object_store", "pipelines", "rekognition"):
        for path in sorted((PROJECT / "include" / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if not isinstance(node, ast.Call):
                    continue
                called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                said = [*node.args, *(word.value for word in node.keywords)] if _makes_an_error(called) else []
                said += [word.value for word in node.keywords if word.arg in ("next_step", "advice", "detail")]
                for value in said:
                    for part in ast.walk(value):
                        if isinstance(part, ast.Constant) and isinstance(part.value, str):
                            yield str(path.relative_to(PROJECT)), node.lineno, part.value


def _makes_an_error(called: str) -> bool:
    return called.endswith("Error") or called in ("_invalid", "refuse", "refused")


def test_what_errors_advise_can_be_done_with_every_source_that_raises_them() -> None:
    wrong = [
        (module, line, text)
        for module, line, text in messages()
        if not all(named(text) <= PARAMETERS[source] for source in OWNERS.get(module, PARAMETERS))
    ]
    assert wrong == []
    assert any("local_folder" in named(text) for module, _, text in messages())


def test_modules_of_some_sources_exist() -> None:
    assert [module for module in OWNERS if not (PROJECT / module).is_file()] == []
