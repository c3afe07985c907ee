"""YAML and JSON that people write by hand or that strangers send: plain values, and nodes that know their lines.

Size, depth and digits are limited, so that time and memory are; aliases and tags of other kinds are refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from laser_cli import limits
from laser_cli.errors import BadInputError, LaserError, reason

_PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's, where PyYAML was built with it: 10 times as fast


@dataclass(frozen=True)
class Document:
    """A text's value, and the YAML node that it stands in; None where only the JSON reader could read it."""

    value: Any
    root: yaml.Node | None


def read_yaml(text: str, name: str, kind: str) -> Document:
    """Read a text of YAML or JSON; `name` is what errors call it, `kind` what it should be ("a plan").

    Raises BadInputError with the line for syntax errors, keys that are there twice, aliases, and for what is too large.
    """
    try:
        if len(text) > limits.PLAN_BYTES:
            raise BadInputError(f"{name} is not {kind}", why=f"it is larger than {limits.PLAN_BYTES / 1e6:g} MB")
        return _read(text, name, kind)
    except LaserError:
        raise
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, name) from error
    except (yaml.YAMLError, ValueError, TypeError, OverflowError, AttributeError, LookupError) as error:
        # the YAML library lets dates and numbers that do not exist through as bare exceptions
        raise BadInputError(f"{name} is not {kind}", why=f"a value cannot be read: {_first_line(error)}") from error
    except RecursionError as error:
        raise BadInputError(f"{name} is not {kind}", why="its parts are nested too deeply") from error


class _DuplicateKey(Exception):
    pass


class _Constructor(yaml.SafeLoader):
    """Plain values of nodes; numbers of at most so many digits."""

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        if len(node.value) > limits.DIGITS:
            raise yaml.constructor.ConstructorError(
                None, None, f"a number of {len(node.value):,} characters", node.start_mark
            )
        return int(super().construct_yaml_int(node))

    def construct_yaml_float(self, node: yaml.ScalarNode) -> float:
        if len(node.value) > limits.DIGITS + 10:
            raise yaml.constructor.ConstructorError(
                None, None, f"a number of {len(node.value):,} characters", node.start_mark
            )
        return float(super().construct_yaml_float(node))


_Constructor.add_constructor("tag:yaml.org,2002:int", _Constructor.construct_yaml_int)
_Constructor.add_constructor("tag:yaml.org,2002:float", _Constructor.construct_yaml_float)
# a lone = is text to everybody but YAML 1.1
_Constructor.add_constructor("tag:yaml.org,2002:value", lambda loader, node: str(node.value))


def _read(text: str, name: str, kind: str) -> Document:
    if text.lstrip()[:1] == "{":
        try:
            value = json.loads(text, object_pairs_hook=_pairs, parse_int=_integer, parse_constant=_no_number)
        except _DuplicateKey:
            pass  # the YAML nodes below know the line
        except json.JSONDecodeError:
            pass  # YAML in braces, or an error that YAML tells as well
        else:
            try:
                return Document(value, _compose(text, name, kind))
            except (yaml.YAMLError, BadInputError, ValueError):
                _check_depth(value, name, kind)
                return Document(value, None)  # JSON that YAML does not read, indented with tabs for example
    root = _compose(text, name, kind)
    if root is None:
        return Document(None, None)
    _refuse_duplicates(root, name)
    return Document(_Constructor("").construct_document(root), root)


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise _DuplicateKey
    return dict(pairs)


def _integer(digits: str) -> int:
    if len(digits) > limits.DIGITS:
        raise ValueError(f"a number of {len(digits):,} digits")
    return int(digits)


def _no_number(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def _compose(text: str, name: str, kind: str) -> yaml.Node | None:
    depth = 0
    for number, event in enumerate(yaml.parse(text, Loader=_PARSER)):
        line = event.start_mark.line + 1 if event.start_mark else 0
        if isinstance(event, yaml.AliasEvent):
            why = f"{kind.removeprefix('a ')}s have no aliases"
            raise BadInputError(f"{name}, line {line}: *{event.anchor} refers to another part", why=why)
        if number > limits.PLAN_PARTS:
            raise BadInputError(f"{name} is not {kind}", why=f"it has more than {limits.PLAN_PARTS:,} parts")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > limits.DEPTH:
            why = f"its parts are nested more than {limits.DEPTH} deep"
            raise BadInputError(f"{name}, line {line}: this is not {kind}", why=why)
    root: yaml.Node | None = yaml.compose(text, Loader=_PARSER)
    return root


def _check_depth(value: Any, name: str, kind: str) -> None:
    waiting = [(value, 1)]
    while waiting:
        part, depth = waiting.pop()
        if depth > limits.DEPTH:
            raise BadInputError(f"{name} is not {kind}", why=f"its parts are nested more than {limits.DEPTH} deep")
        if isinstance(part, dict | list):
            waiting += [(inner, depth + 1) for inner in (part.values() if isinstance(part, dict) else part)]


def _syntax_error(error: yaml.MarkedYAMLError, name: str) -> BadInputError:
    mark = error.problem_mark or error.context_mark
    where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    hint = "put text that holds a colon, quotes or # in quotes" if error.problem and "mapping" in error.problem else ""
    return BadInputError(f"{name}{where}: not valid YAML", why=error.problem or error.context or "", hint=hint)


def _refuse_duplicates(root: yaml.Node, name: str) -> None:
    for node in _walk(root):
        if not isinstance(node, yaml.MappingNode):
            continue
        lines: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise BadInputError(f"{name}, line {line}: a key has to be a word")
            if key.value in lines:
                why = f"it is set in line {lines[key.value]} already"
                raise BadInputError(f"{name}, line {line}: the key {key.value[:60]!r} is there twice", why=why)
            lines[key.value] = line


def _walk(root: yaml.Node) -> Iterator[yaml.Node]:
    stack = [root]
    while stack:
        node = stack.pop()
        yield node
        if isinstance(node, yaml.SequenceNode):
            stack.extend(reversed(node.value))
        elif isinstance(node, yaml.MappingNode):
            stack.extend(part for pair in node.value for part in pair)


def _first_line(error: Exception) -> str:
    return " ".join(reason(error).split())[:200]
