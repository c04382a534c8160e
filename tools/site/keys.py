"""The reference of every configuration key, from the schemas in unlearning/config/."""

from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import omegaconf

from tools.site.source import first_paragraph, member_docs
from tools.site.stacked import stacked
from unlearning.config.registration import ROOTS, schemas

NAMES = {int: "whole number", float: "number", str: "text", bool: "true or false", Any: "anything"}
HEAD = """Made from the schemas in `unlearning/config/`. A key is set by `KEY=VALUE` on the command line. A value
of another type or out of its range is refused before anything slow begins. [Choices](choices.md) shows
which choice has which keys."""


@dataclass(frozen=True)
class Key:
    """One row of the reference."""

    name: str
    kind: str
    default: str
    allowed: str
    meaning: str


def prefixes() -> dict[type[Any], str]:
    """Return where each schema stands in a configuration, such as "objective." for all objectives.

    Of several places it is the one with the fewest dots: "optimizer." and not "recipe.optimizer.".
    """
    found: dict[type[Any], str] = {}
    for root in ROOTS.values():
        _walk(root, "", found)
    return found


def _walk(schema: type[Any], prefix: str, found: dict[type[Any], str]) -> None:
    if schema in found and found[schema].count(".") <= prefix.count("."):
        return
    for own_or_base in schema.__mro__[:-1]:
        if found.get(own_or_base, f"{prefix}.").count(".") > prefix.count("."):
            found[own_or_base] = prefix
    hints = get_type_hints(schema)
    for item in fields(schema):
        kind = hints[item.name]
        values = get_args(kind) if get_origin(kind) is dict else (kind,)
        inner = f"{prefix}{item.name}.{'NAME.' if get_origin(kind) is dict else ''}"
        for value in values:
            if isinstance(value, type) and is_dataclass(value):
                _walk(value, inner, found)
                for derived in _derived(value):
                    _walk(derived, inner, found)


def _derived(schema: type[Any]) -> Iterator[type[Any]]:
    for found in schema.__subclasses__():
        yield found
        yield from _derived(found)


def own_keys(schema: type[Any], prefix: str) -> list[Key]:
    """Return the keys that a schema declares itself, in its order; those of its bases are in their own tables."""
    hints, docs = get_type_hints(schema), member_docs(schema)
    return [
        _key(item, prefix, hints[item.name], docs.get(item.name, ""))
        for item in fields(schema)
        if item.name in schema.__annotations__ and not item.name.startswith("_")
    ]


def _key(item: Field[Any], prefix: str, kind: Any, meaning: str) -> Key:
    allowed = str(item.metadata.get("allowed", ""))
    members = _enum(kind)
    if members is not None:
        docs = member_docs(members)
        lines = [f"`{member.value}`{': ' + docs[member.name] if docs.get(member.name) else ''}" for member in members]
        meaning = "<br>".join(filter(None, [meaning or first_paragraph(members.__doc__ or ""), *lines]))
    if is_dataclass(kind):
        meaning = meaning or first_paragraph(kind.__doc__ or "")
    return Key(f"{prefix}{item.name}", _kind(kind), _default(item), allowed, meaning)


def _enum(kind: Any) -> type[Enum] | None:
    for part in (kind, *get_args(kind)):
        if isinstance(part, type) and issubclass(part, Enum):
            return part
    return None


def _kind(kind: Any) -> str:
    """Return a type in plain words."""
    arguments = get_args(kind)
    if get_origin(kind) in (Union, UnionType):
        return " or ".join("null" if part is NoneType else _kind(part) for part in arguments)
    if get_origin(kind) is list:
        return f"list of {_kind(arguments[0])}"
    if get_origin(kind) is dict:
        return f"names with {_kind(arguments[1])}"
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "choice"
    return NAMES.get(kind) or "keys"


def _default(item: Field[Any]) -> str:
    value = item.default if item.default_factory is MISSING else item.default_factory()
    if is_dataclass(value):
        return "below"
    if value is MISSING or value == omegaconf.MISSING:
        return "given by the choice"
    return f"`{_written(value)}`"


def _written(value: Any) -> str:
    """Return a value as it is written on the command line."""
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, list):
        return f"[{','.join(map(_written, value))}]"
    return {"None": "null", "True": "true", "False": "false", "": '""'}.get(str(value), str(value))


def page() -> str:
    """Return the reference of all keys as Markdown: a section for each file of unlearning/config/."""
    where = prefixes()
    lines = ["# Every key", "", HEAD]
    section = ""
    for file, schema in schemas():
        keys = own_keys(schema, where.get(schema, ""))
        if schema not in where or (not keys and schema.__bases__ == (object,)):
            continue
        if file != section:
            section = file
            lines += ["", f"## {file}"]
        lines += ["", f"### {schema.__name__}", "", first_paragraph(schema.__doc__ or "")]
        bases = [base.__name__ for base in schema.__bases__ if base is not object and own_keys(base, "")]
        if bases:
            lines += ["", f"It has the keys of {', '.join(f'[{name}](#{name.lower()})' for name in bases)} too."]
        lines += ["", *stacked(_table(keys), "keys")] if keys else []
    return "\n".join(lines) + "\n"


def _table(keys: list[Key]) -> Iterator[str]:
    yield "| key | meaning | type | default | allowed |"
    yield "|---|---|---|---|---|"
    for key in keys:
        cells = (f"`{key.name}`", key.meaning, key.kind, key.default, key.allowed)
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
