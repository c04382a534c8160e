"""layers.json: written, read back, and refused in one line."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.mediation.builders import deep_model
from tests.mediation.test_effects import A, B, result_of
from unlearning.config import ModuleKind, SelectionRule, TraceConfig
from unlearning.errors import InputError
from unlearning.mediation.layers import read_layers, selected_parameters, write_layers
from unlearning.mediation.selection import Selection, select

CONFIG = TraceConfig(kinds=[ModuleKind.mlp], rule=SelectionRule.top_share, value=0.5)


def written(path: Path) -> tuple[Selection, dict[str, Any]]:
    """A selection of block 0 of two, and what its file says."""
    result = result_of(A, B)
    selection = select(result, CONFIG)
    write_layers(path, deep_model("gpt2", 2), selection, result, CONFIG)
    content: dict[str, Any] = json.loads(path.read_text())
    return selection, content


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "layers.json"
    selection, content = written(path)
    assert read_layers(path) == read_layers(path, 2) == selection
    names = [f"transformer.h.0.mlp.{name}" for name in ("c_fc.weight", "c_fc.bias", "c_proj.weight", "c_proj.bias")]
    assert content["parameters"] == names == selected_parameters(deep_model("gpt2", 2), selection)
    assert content["counts"] == {"traced": 2, "persons": 2, "unknown": 0, "left_over": 0}


def test_no_share_is_null(tmp_path: Path) -> None:
    path = tmp_path / "layers.json"
    _, content = written(path)
    for effects in content["effects"]:
        effects["kinds"][0]["normalised"] = None
    path.write_text(json.dumps(content))
    assert read_layers(path).effects[0].of(ModuleKind.mlp).normalised is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"blocks": [1, 5]}, r"blocks \[5\]: the model has blocks 0 to 1"),
        ({"blocks": [-1]}, r"blocks \[-1\]: the model has"),
        ({"blocks": []}, "one block at least"),
        ({"blocks": ["1"]}, "must be whole numbers"),
        ({"blocks": 3}, r"not a layers\.json of a trace: 'int' object is not iterable"),
        ({"module": "nose"}, "'nose' is not a valid ModuleKind"),
        ({"rule": None}, "None is not a valid SelectionRule"),
        ({"effects": [{}]}, "key 'kinds' is missing"),
    ],
)
def test_a_wrong_file_is_one_line(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tmp_path / "layers.json"
    _, content = written(path)
    path.write_text(json.dumps({**content, **changes}))
    with pytest.raises(InputError, match=message) as caught:
        read_layers(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", '{"blocks": [1]}', "\x00"])
def test_a_garbled_file_is_one_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "layers.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"not a layers\.json of a trace"):
        read_layers(path)


def test_a_file_for_another_model(tmp_path: Path) -> None:
    path = tmp_path / "layers.json"
    _, content = written(path)
    path.write_text(json.dumps({**content, "blocks": [1]}))
    with pytest.raises(InputError, match=r"blocks \[1\]: the model has blocks 0 to 0"):
        read_layers(path, 1)
    with pytest.raises(InputError, match="traced on a model of 2 blocks, but this has 16"):
        read_layers(path, 16)
    with pytest.raises(InputError, match="cannot be read: No such file or directory"):
        read_layers(tmp_path / "nothing.json")
