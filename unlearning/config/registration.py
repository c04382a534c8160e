"""Every schema in Hydra's ConfigStore, found by a walk over the files of this folder."""

from collections.abc import Iterator
from dataclasses import is_dataclass
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, OmegaConf

from unlearning import config
from unlearning.config.commands import (
    EvaluateConfig,
    MemoriseConfig,
    MergeConfig,
    ProbeCommandConfig,
    TraceCommandConfig,
    UnlearnConfig,
)
from unlearning.config.own_parts import watch_choices
from unlearning.config.report import ReportConfig
from unlearning.config.tuned import watch_composition

ROOTS: dict[str, type[Any]] = {
    "unlearn_schema": UnlearnConfig,
    "memorise_schema": MemoriseConfig,
    "trace_schema": TraceCommandConfig,
    "evaluate_schema": EvaluateConfig,
    "merge_schema": MergeConfig,
    "probe_schema": ProbeCommandConfig,
    "report_schema": ReportConfig,
}
"""The schema of each command, by the name that the first line of its YAML file gives."""


@cache
def register() -> None:
    """Store every schema in Hydra's ConfigStore: those of the commands, and those of all parts that can be chosen.

    A part's schema is a dataclass in the file of its group that says with `_target_` which class it describes. It is
    stored as schema/GROUP/CLASS, such as schema/objective/NPOConfig: inside the group itself, `objective=glob(*)` would
    run the schemas too. Works once, for there is one store.
    """
    OmegaConf.register_new_resolver("if_equal", _if_equal)
    store = ConfigStore.instance()
    # Hydra copies the whole store each time that it composes, and 150 times for --help, though what it then takes from
    # it is a copy all the same (ConfigStore.load): one store is enough.
    vars(store)["__deepcopy__"] = _the_one_store
    watch_composition()
    watch_choices()
    for name, schema in ROOTS.items():
        store.store(name=name, node=schema)
    for group, schema in schemas():
        if getattr(schema, "_target_", MISSING) != MISSING:
            store.store(group=f"schema/{group}", name=schema.__name__, node=schema, package=group)


def schemas() -> Iterator[tuple[str, type[Any]]]:
    """Yield the dataclasses of this folder's files, each with the name of its file."""
    for file in iter_modules(config.__path__):
        module = import_module(f"{config.__name__}.{file.name}")
        for found in vars(module).values():
            if isinstance(found, type) and is_dataclass(found) and found.__module__ == module.__name__:
                yield file.name, found


def _if_equal(one: Any, other: Any, then: Any, otherwise: Any) -> Any:
    """Return what ${if_equal:ONE,OTHER,THEN,OTHERWISE} stands for in a YAML file: one of the last two."""
    return then if one == other else otherwise


def _the_one_store(_: Any) -> ConfigStore:
    return ConfigStore.instance()
