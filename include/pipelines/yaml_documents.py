"""YAML files as their editors show them: scalars of YAML 1.2, no key twice, and the line of each member.

PyYAML reads YAML 1.1, in which ``on``, ``off``, ``yes`` and ``no`` are truth values, ``010`` is eight, ``1:30`` is
ninety and ``2026-11-01`` is a date. Here they are texts, as for the language server that checks a file in an editor.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import yaml
from yaml.constructor import ConstructorError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

_TAG = "tag:yaml.org,2002:"
# Numbers are as in JSON. Whole ones of more than 18 digits are none.
_SCALARS = {
    f"{_TAG}{name}": (re.compile(rf"^(?:{pattern})$"), first)
    for name, pattern, first in (
        ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
        ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
        ("int", r"-?(?:0|[1-9][0-9]{0,17})", list("-0123456789")),
        ("float", r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?", list("-0123456789")),
        ("merge", r"<<", ["<"]),
    )
}


class _Loader(yaml.CSafeLoader):
    """`SafeLoader`, with the types of YAML 1.2's core schema."""

    yaml_constructors: ClassVar[dict[str | None, Any]] = {
        tag: constructor
        for tag, constructor in yaml.CSafeLoader.yaml_constructors.items()
        if tag is None or tag in _SCALARS or tag in (f"{_TAG}str", f"{_TAG}seq", f"{_TAG}map")
    }


_Loader.yaml_implicit_resolvers = {}
for _tag, (_pattern, _first) in _SCALARS.items():
    _Loader.add_implicit_resolver(_tag, _pattern, _first)


class YamlDocument:
    """One document.

    :ivar value: mappings, lists and scalars
    """

    def __init__(self, text: str) -> None:
        """
        :raises yaml.YAMLError: no YAML, more than one document, or a key that is there twice
        """
        loader = _Loader(text)
        try:
            self._root: Node | None = loader.get_single_node()
            # Before anything is merged into a mapping, which may repeat its keys.
            for node in _nodes(self._root, set()):
                _check(node)
            self.value: Any = None if self._root is None else loader.construct_document(self._root)
        finally:
            loader.dispose()

    def line(self, path: Sequence[str | int]) -> int:
        """The line, from 1, of a member or of the nearest that contains it."""
        node, line = self._root, 1
        for step in path:
            found = _child(node, step)
            if found is None:
                break
            at, node = found
            line = at.start_mark.line + 1
        return line


def _nodes(node: Node | None, seen: set[int]) -> Iterator[Node]:
    # An alias is the same node again, and may even be within itself.
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    yield node
    if isinstance(node, MappingNode):
        for key, value in node.value:
            yield from _nodes(key, seen)
            yield from _nodes(value, seen)
    elif isinstance(node, SequenceNode):
        for item in node.value:
            yield from _nodes(item, seen)


def _check(node: Node) -> None:
    if isinstance(node, ScalarNode) and "\0" in node.value:
        raise ConstructorError(None, None, "no text has the character NUL", node.start_mark)
    if isinstance(node, ScalarNode) and node.tag in _SCALARS and not _SCALARS[node.tag][0].match(node.value):
        # The constructors only expect what they are found for, and not what somebody wrote a tag in front of.
        problem = f"{node.value!r} is not of the type {node.tag.removeprefix(_TAG)}"
        raise ConstructorError(None, None, problem, node.start_mark)
    if isinstance(node, MappingNode):
        keys = set()
        for key, _ in node.value:
            if isinstance(key, ScalarNode):
                if (key.tag, key.value) in keys:
                    raise ConstructorError(None, None, f"the key {key.value!r} is there twice", key.start_mark)
                keys.add((key.tag, key.value))


def _child(node: Node | None, step: str | int) -> tuple[Node, Node] | None:
    """Where a member stands, and its value."""
    if isinstance(node, MappingNode):
        # What was merged into a mapping stands before its own members.
        for key, value in reversed(node.value):
            if isinstance(key, ScalarNode) and key.value == step:
                return key, value
    elif isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step]
    return None
