"""From the settings of a chosen part to the part itself, and from its `_target_` back to its schema."""

from collections.abc import Iterator
from typing import Any

from hydra.utils import instantiate
from omegaconf import OmegaConf


def build(part: object) -> Any:
    """Return the object that a schema with a `_target_` describes: an objective, a scope, a schedule, a reader."""
    return instantiate(OmegaConf.structured(part), _convert_="object")


def schema_of(base: type[Any], target: object) -> type[Any] | None:
    """Return the schema derived from `base` whose `_target_` is `target`, or None where there is none."""
    return next((schema for schema in _derived(base) if schema._target_ == target), None)


def _derived(base: type[Any]) -> Iterator[type[Any]]:
    for schema in base.__subclasses__():
        yield schema
        yield from _derived(schema)
