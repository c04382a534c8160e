"""Parts of a user's own: a class that is named by its dotted path, and whose fields become its keys.

`objective=my_module.MyLoss`, or `objective._target_=my_module.MyLoss`, chooses a class as the name of a file in conf/
chooses one of ours. A part that is chosen has a schema, so that its keys are known and checked. The schema of such a
class is made from it: it has the keys of the schema of the class that it derives from, and a key for each further
field.
"""

from collections.abc import Iterator
from dataclasses import MISSING, Field, field, fields, is_dataclass, make_dataclass
from functools import wraps
from inspect import isclass
from typing import Any, get_type_hints

import omegaconf
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from unlearning.config.build import schema_of
from unlearning.config.data import DataConfig, FileDataConfig
from unlearning.config.dotted import located
from unlearning.config.objective import ObjectiveConfig, WeightedConfig
from unlearning.config.schedule import ScheduleConfig
from unlearning.config.scope import ScopeConfig
from unlearning.errors import InputError, first_line

BASES: dict[str, type[Any]] = {
    "objective": ObjectiveConfig,
    "scope": ScopeConfig,
    "schedule": ScheduleConfig,
    "data": DataConfig,
}
"""The groups that take a class of the user's own, and the schema whose keys every part of the group has."""
ABSTRACT: dict[str, type[Any]] = {
    "unlearning.objectives.base.Objective": ObjectiveConfig,
    "unlearning.objectives.weighted.Weighted": WeightedConfig,
    "unlearning.data.reader.Reader": DataConfig,
    "unlearning.data.reader.FileReader": FileDataConfig,
}
"""Base classes and their schemas, which name no class, since nobody chooses them."""
METHODS = {
    "objective": ("forget_terms", "retain_terms", "weights"),
    "scope": ("require_fits", "apply"),
    "schedule": ("plan",),
    "data": ("read",),
}
"""What a part of each group can do, so that a class of another kind is refused by name."""


def watch_choices() -> None:
    """Let Hydra take a dotted path as a choice of one of these groups in everything that it composes from now on.

    Its loader's method is wrapped, as for tuned numbers (`tuned.watch_composition`): all that is composed goes through.
    """
    load = ConfigLoaderImpl.load_configuration

    @wraps(load)
    def load_with_own_parts(
        self: ConfigLoaderImpl,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> DictConfig:
        words = [_with_schema(word) for word in overrides]
        return load(self, config_name, words, run_mode, from_shell, validate_sweep_overrides)

    ConfigLoaderImpl.load_configuration = load_with_own_parts  # type: ignore[method-assign]


def _with_schema(word: str) -> str:
    """Return a word with which Hydra can choose a class, after its schema is stored; any other word as it is.

    Of a sweep, the schema of each class is stored.
    """
    key, equals, value = word.partition("=")
    group = key.removesuffix("._target_")
    if group not in BASES or not equals or "." not in value:
        return word
    chosen = f"{group}={value}"
    for path in _paths(chosen):
        if "." in path:
            ConfigStore.instance().store(group=group, name=path, node=own_schema(group, path), package=group)
    return chosen


def _paths(word: str) -> Iterator[str]:
    override = OverridesParser.create().parse_override(word)
    if override.is_sweep_override():
        yield from override.sweep_string_iterator()
    else:
        yield str(override.value())


def own_schema(group: str, path: str) -> type[Any]:
    """Return the schema of the class at a dotted path: its `_target_`, and its fields with their ranges as keys.

    It is made anew each time, for in a notebook the class may have changed. Raises InputError for a class that cannot
    be imported, is no dataclass, lacks a key or a method that every part of the group has, or has a field of a type
    that a configuration cannot hold.
    """
    ours = _of_ours(group, path)
    if ours is not None:
        return ours
    asked = f"{group}._target_={path}"
    own = located(path, f"{group}._target_")
    if not isclass(own) or not is_dataclass(own):
        raise InputError(f"{asked}: must be a dataclass")
    base, known = _nearest(group, own)
    _require_whole(group, own, base, asked)
    hints = get_type_hints(own)
    further = [
        (item.name, hints[item.name], _as_key(item))
        for item in fields(own)
        if item.init and item is not known.get(item.name)
    ]
    schema = make_dataclass(own.__name__, [*further, ("_target_", str, field(default=path))], bases=(base,))
    schema.__doc__ = own.__doc__
    try:
        OmegaConf.structured(schema)
    except OmegaConfBaseException as error:
        raise InputError(f"{asked}: {first_line(error)}") from error
    return schema


def _of_ours(group: str, path: str) -> type[Any] | None:
    """Return the schema of a class of this package; None for any other class."""
    if not path.startswith("unlearning."):
        return None
    return ABSTRACT.get(path) or schema_of(BASES[group], path)


def _nearest(group: str, own: type[Any]) -> tuple[type[Any], dict[str, Field[Any]]]:
    """Return the schema of the nearest class of ours that a class derives from, and the fields of that class."""
    for ancestor in own.__mro__[1:]:
        schema = _of_ours(group, f"{ancestor.__module__}.{ancestor.__qualname__}")
        if schema is not None:
            return schema, {item.name: item for item in fields(ancestor)}
    return BASES[group], {}


def _require_whole(group: str, own: type[Any], base: type[Any], asked: str) -> None:
    """Raise InputError where a class lacks a method or a key that every part of the group has."""
    has = {item.name for item in fields(own) if item.init}
    lacking = [f"{name}()" for name in METHODS[group] if not callable(getattr(own, name, None))]
    lacking += [item.name for item in fields(base) if item.name != "_target_" and item.name not in has]
    if lacking:
        raise InputError(f"{asked}: lacks {', '.join(lacking)}, which every {group} has; derive it from one of ours")


def _as_key(item: Field[Any]) -> Any:
    """Return a field of a schema with the default and range of a class's field; without default it must be given."""
    ranges = dict(item.metadata) if "allowed" in item.metadata else {}
    if item.default_factory is not MISSING:
        return field(default_factory=item.default_factory, metadata=ranges)
    return field(default=omegaconf.MISSING if item.default is MISSING else item.default, metadata=ranges)
