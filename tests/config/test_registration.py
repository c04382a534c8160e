"""Schemas are found by a walk over the files of unlearning/config/, so that a new one needs no line in a list."""

import ast
from pathlib import Path

import pytest
from hydra.core.config_store import ConfigStore
from hydra.utils import get_class

from unlearning.config.location import conf_dir
from unlearning.config.registration import register, schemas

PARTS = [(group, schema) for group, schema in schemas() if not getattr(schema, "_target_", "???").startswith("?")]
CONFIG = Path(__file__).parent.parent.parent / "unlearning" / "config"


def test_every_dataclass_is_found_with_its_file() -> None:
    """The walk finds each class once, under the name of the file that defines it."""
    written = [
        (path.stem, node.name)
        for path in sorted(CONFIG.glob("*.py"))
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef) and "dataclass" in map(ast.unparse, node.decorator_list)
    ]
    assert sorted((group, schema.__name__) for group, schema in schemas()) == sorted(written)


@pytest.mark.parametrize(("group", "schema"), PARTS, ids=[schema.__name__ for _, schema in PARTS])
def test_every_part_is_stored_and_has_a_file(group: str, schema: type) -> None:
    """A part's class exists, and a file of its group can choose it."""
    register()
    assert ConfigStore.instance().load(f"schema/{group}/{schema.__name__}.yaml").package == group
    assert get_class(schema._target_)  # type: ignore[attr-defined]
    entry = f"/schema/{group}/{schema.__name__}@_here_"
    assert any(entry in path.read_text() for path in (conf_dir() / group).glob("*.yaml"))
