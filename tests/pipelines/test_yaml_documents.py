"""YAML as editors show it, and where its members stand."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from include.pipelines.yaml_documents import YamlDocument


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("Off", "Off"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("null", None),
        ("0", 0),
        ("-17", -17),
        ("010", "010"),
        ("0x1f", "0x1f"),
        ("1_000", "1_000"),
        ("111122223333", 111122223333),
        ("12:30:45", "12:30:45"),
        ("2026-11-01", "2026-11-01"),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("'true'", "true"),
        ("!!str 3", "3"),
        ("s3://example-images/", "s3://example-images/"),
    ],
)
def test_scalars(scalar: str, value: Any) -> None:
    found = YamlDocument(f"a: {scalar}").value["a"]
    assert (found, type(found)) == (value, type(value))


def test_a_key_that_yaml_1_1_takes_for_a_truth_value() -> None:
    assert YamlDocument("on: [failure]\nno: 1").value == {"on": ["failure"], "no": 1}


def test_anchors_aliases_and_merged_mappings() -> None:
    document = YamlDocument("base: &base {a: 1, b: 2}\nsame: *base\nmore:\n  <<: *base\n  b: 3\n")
    assert document.value == {"base": {"a": 1, "b": 2}, "same": {"a": 1, "b": 2}, "more": {"a": 1, "b": 3}}
    assert document.line(["more", "b"]) == 5


@pytest.mark.parametrize(
    ("text", "problem", "line"),
    [
        ("a: 1\nb: 2\na: 3", "the key 'a' is there twice", 3),
        ("a:\n- {x: 1, x: 1}", "the key 'x' is there twice", 2),
        ("a: 1\n---\nb: 1", "but found another document", 2),
        ("a: [1", "did not find expected ',' or ']'", 2),
        ("\ta: 1", "found character that cannot start any token", 1),
        ("a: !!python/object:os.system {}", "could not determine a constructor", 1),
        ("a: !!timestamp 2026-11-01", "could not determine a constructor", 1),
        ("a: !!bool maybe", "'maybe' is not of the type bool", 1),
        ("a: !!int x", "'x' is not of the type int", 1),
        ("{a: 1}: 2", "found unhashable key", 1),
        ("a: *b", "found undefined alias", 1),
        ('a: "x\\0"', "no text has the character NUL", 1),
    ],
)
def test_what_is_no_document_says_where(text: str, problem: str, line: int) -> None:
    with pytest.raises(yaml.MarkedYAMLError) as caught:
        YamlDocument(text)
    assert problem in str(caught.value)
    assert caught.value.problem_mark is not None
    assert caught.value.problem_mark.line + 1 == line


def test_control_characters_are_refused() -> None:
    with pytest.raises(yaml.YAMLError):
        YamlDocument("a: \x01")


@pytest.mark.parametrize(
    ("path", "line"),
    [([], 1), (["b"], 2), (["b", "c"], 3), (["b", "c", 1], 5), (["b", "c", 7], 3), (["b", "gone"], 2), (["gone"], 1)],
)
def test_the_line_of_a_member(path: list[str | int], line: int) -> None:
    assert YamlDocument("a: 1\nb:\n  c:\n  - x\n  - y\n").line(path) == line


def test_an_alias_may_be_within_itself() -> None:
    assert YamlDocument("&a [*a]").line([0, 0, 0]) == 1
