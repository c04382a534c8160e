"""Ranges of keys: declared with a field, as plain data in its metadata, and checked by one walk through the settings.

A field says what is allowed where it gives its default:

    lr: float = above(0, 1e-5)

What concerns several fields is a method of the dataclass, `check(self, key: str) -> None`, which raises InputError. Its
`key` is the dataclass's own, such as "optimizer".
"""

import re
from dataclasses import field, fields, is_dataclass
from types import NoneType
from typing import Any, get_args, get_type_hints

from unlearning.errors import InputError


def at_least(least: float, default: Any) -> Any:
    """Return a field for numbers of `least` or more."""
    return _ranged(default, {"allowed": f"{least} or more", "interval": f"[{least}, inf]"})


def above(bound: float, default: Any) -> Any:
    """Return a field for numbers above `bound`."""
    return _ranged(default, {"allowed": f"above {bound}", "interval": f"({bound}, inf]"})


def within(interval: str, default: Any) -> Any:
    """Return a field for numbers in an interval such as "(0, 1]", where 1 belongs to it and 0 does not."""
    return _ranged(default, {"allowed": f"in {interval}", "interval": interval})


def one_of(choices: tuple[str, ...], default: Any) -> Any:
    """Return a field for one of some texts."""
    return _ranged(default, {"allowed": f"one of {', '.join(choices)}", "choices": choices})


def some_of(choices: tuple[str, ...], default: list[Any]) -> Any:
    """Return a field for a list of one or more of some texts, or of the members of a StrEnum."""
    metadata = {"allowed": f"some of {', '.join(choices)}", "some_of": choices}
    return field(default_factory=lambda: list(default), metadata=metadata)


def require(condition: bool, key: str, value: object, allowed: str) -> None:
    """Raise InputError "key=value: must be allowed" unless the condition holds."""
    if not condition:
        raise InputError(f"{key}={value}: must be {allowed}")


def check_ranges(settings: Any, key: str) -> None:
    """Raise InputError for the first value out of its range, in these settings and all settings inside them.

    `key` is that of the settings themselves, as one types it on the command line: "optimizer", "probes.relearning", and
    empty for those of a command. The ranges of a dataclass's fields come before the conditions on several of them.
    """
    if isinstance(settings, dict):
        for name, value in settings.items():
            check_ranges(value, f"{key}.{name}")
    elif isinstance(settings, list):
        for place, value in enumerate(settings):
            check_ranges(value, f"{key}.{place}")
    elif is_dataclass(settings):
        types = get_type_hints(type(settings))
        for item in fields(settings):
            value, inner = getattr(settings, item.name), f"{key}.{item.name}" if key else item.name
            optional = NoneType in get_args(types[item.name])
            if item.metadata and not (optional and value is None):
                _check_value(value, inner, dict(item.metadata), ", or null" if optional else "")
            check_ranges(value, inner)
        check = getattr(settings, "check", None)
        if check is not None:
            check(key)


def _ranged(default: Any, metadata: dict[str, Any]) -> Any:
    return field(default=default, metadata=metadata)


def _check_value(value: Any, key: str, metadata: dict[str, Any], null: str) -> None:
    allowed = f"{metadata['allowed']}{null}"
    if "interval" in metadata:
        require(_lies_in(value, metadata["interval"]), key, value, allowed)
    if "choices" in metadata:
        require(value in metadata["choices"], key, value, allowed)
    if "some_of" in metadata:
        require(bool(value), key, value, allowed)
        for part in value:
            require(part in metadata["some_of"], key, part, f"one of {', '.join(metadata['some_of'])}")


def _lies_in(value: float, interval: str) -> bool:
    """Whether a number lies in an interval in mathematical notation; a number that is none (nan) never does."""
    opening, low, high, closing = re.split(r"(?<=[\[(])|, |(?=[\])])", interval)
    above_low = value >= float(low) if opening == "[" else value > float(low)
    return above_low and (value <= float(high) if closing == "]" else value < float(high))
