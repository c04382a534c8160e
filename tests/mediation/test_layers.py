"""The file layers.json is written, read back, and refused in one line where it is wrong."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.mediation.builders import deep_model
from tests.mediation.fabricated import ATTENTION, LAYER, MLP, persons_of, plain, result_of
from tests.mediation.test_effects import A, B
from unlearning.config.scope import ModuleKind
from unlearning.config.trace import SelectionRule, TraceConfig
from unlearning.errors import InputError
from unlearning.mediation.layers import read_layers, selected_parameters, write_layers
from unlearning.mediation.result import FactCounts, LayerGradients, Screening, TraceResult
from unlearning.mediation.selection import Selection, select
from unlearning.mediation.states import Restoration

CONFIG = TraceConfig(kinds=[ModuleKind.mlp], rule=SelectionRule.top_share, value=0.5, draws=2)
COUNTS = FactCounts(unknown=("c", "d"), without_foil=("e",), below_min_effect=("f",), not_needed=7)
BROAD = replace(
    CONFIG,
    kinds=[ModuleKind.layer, ModuleKind.mlp, ModuleKind.attention],
    window=2,
    severed=[ModuleKind.mlp],
    rule=SelectionRule.confidence,
)


def broad_result() -> TraceResult:
    """Return a result with every optional part: windows, a severed path, placebos, several relations."""
    restorations = (LAYER, MLP, Restoration(ModuleKind.mlp, 2), ATTENTION, Restoration(ModuleKind.attention, 2))
    restorations = (*restorations, Restoration(ModuleKind.layer, severed=ModuleKind.mlp))
    generator = np.random.default_rng(0)
    traces = [
        plain(
            f"{n}", f"{n // 2}", generator.normal(1.0, 1.0, (6, 2)), f"relation {n % 2}", generator.normal(size=(6, 2))
        )
        for n in range(12)
    ]
    return result_of(*traces, restorations=restorations, counts=COUNTS)


def written(path: Path) -> tuple[Selection, dict[str, Any]]:
    """Write a selection of layer 0 of two, and return the path and the content of the file."""
    result = result_of(A, B, counts=COUNTS)
    selection = select(result, CONFIG, None)
    write_layers(path, deep_model("gpt2", 2), selection, result, CONFIG)
    content: dict[str, Any] = json.loads(path.read_text())
    return selection, content


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "layers.json"
    selection, content = written(path)
    assert selection.warnings
    assert read_layers(path) == read_layers(path, 2) == selection
    assert content["counts"] == {
        "traced": 2,
        "persons": 2,
        "unknown": 2,
        "without_foil": 1,
        "below_min_effect": 1,
        "not_needed": 7,
    }
    assert content["left_out"] == {"unknown": ["c", "d"], "without_foil": ["e"], "below_min_effect": ["f"]}
    settings = ("mode", "corruption", "direction", "base_model", "tokens", "draws", "seed", "noise", "screening")
    assert {name: content[name] for name in settings} == {
        "mode": "exact",
        "corruption": "noise",
        "direction": "denoising",
        "base_model": None,
        "tokens": "subject",
        "draws": 2,
        "seed": 0,
        "noise": 0.1,
        "screening": None,
    }
    # At layer 0 the draws differ only in the corrupted run of the first fact: 2 and 4.
    assert content["noise_share"] == pytest.approx((2 + 0) / 2 / 2 / 4.5)


def test_everything_optional_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "layers.json"
    result = broad_result()
    gradients = LayerGradients((1.0, 2.0), (2.0, 1.0))
    selection = select(result, BROAD, gradients)
    own = selection.effects[-1]
    assert own.severed_gaps
    assert own.of(MLP).placebo
    assert len(own.total_by_relation) == 2
    write_layers(path, deep_model("gpt2", 2), selection, result, BROAD)
    assert read_layers(path) == selection
    assert list(read_layers(path).baselines) == ["random", "first", "middle", "last", "gradient", "fisher"]


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_parameters_of_every_traced_kind(family: str, tmp_path: Path) -> None:
    path, model = tmp_path / "layers.json", deep_model(family, 2)
    result = broad_result()
    selection = select(result, BROAD, None)
    write_layers(path, model, selection, result, BROAD)
    found = json.loads(path.read_text())["parameters"]
    assert list(found) == ["layer", "mlp", "attention"]
    total = sum(parameter.numel() for parameter in model.parameters())
    for kind, part in found.items():
        assert part["names"] == selected_parameters(model, selection, ModuleKind(kind))
        assert part["share"] == pytest.approx(sum(model.get_parameter(name).numel() for name in part["names"]) / total)
    assert set(found["mlp"]["names"]) | set(found["attention"]["names"]) < set(found["layer"]["names"])
    assert found["mlp"]["share"] + found["attention"]["share"] < found["layer"]["share"] < 1


def test_exact_names(tmp_path: Path) -> None:
    selection, content = written(tmp_path / "layers.json")
    names = [f"transformer.h.0.mlp.{name}" for name in ("c_fc.weight", "c_fc.bias", "c_proj.weight", "c_proj.bias")]
    assert selection.layers == (0,)
    assert content["parameters"]["mlp"]["names"] == names


def test_not_a_number_is_null(tmp_path: Path) -> None:
    path = tmp_path / "layers.json"
    screening = Screening(2, correlation={"mlp": math.nan, "layer": 0.5}, correlation_of_means={"mlp": math.nan})
    result = replace(result_of(A, B), screening=screening)
    write_layers(path, deep_model("gpt2", 2), select(result, CONFIG, None), result, CONFIG)
    content = json.loads(path.read_text())
    assert content["screening"] == {
        "facts": 2,
        "correlation": {"mlp": None, "layer": 0.5},
        "correlation_of_means": {"mlp": None},
    }
    facts = persons_of([[1.0, 0.0]] * 2)
    write_layers(path, deep_model("gpt2", 2), select(facts, CONFIG, None), facts, CONFIG)
    assert json.loads(path.read_text())["noise_share"] is None


def test_no_share_is_null(tmp_path: Path) -> None:
    path = tmp_path / "layers.json"
    _, content = written(path)
    for effects in content["effects"]:
        effects["restorations"][0]["normalised"] = None
    path.write_text(json.dumps(content))
    assert read_layers(path).effects[0].of(MLP).normalised is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": [1, 5]}, r"layers \[5\]: the model has layers 0 to 1"),
        ({"layers": [-1]}, r"layers \[-1\]: the model has"),
        ({"layers": []}, "one layer at least"),
        ({"layers": ["1"]}, "must be whole numbers"),
        ({"layers": 3}, r"not a layers\.json of a trace: 'int' object is not iterable"),
        ({"module": "nose"}, "'nose' is not a valid ModuleKind"),
        ({"rule": None}, "None is not a valid SelectionRule"),
        ({"baselines": []}, "'list' object has no attribute 'items'"),
        ({"effects": [{}]}, "key 'metric' is missing"),
        ({"effects": [{"metric": "probability", "facts": 1, "total": {"middle": 1}}]}, "unexpected keyword argument"),
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


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", '{"layers": [1]}', "\x00"])
def test_a_garbled_file_is_one_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "layers.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"not a layers\.json of a trace"):
        read_layers(path)


def test_a_file_of_an_older_make(tmp_path: Path) -> None:
    path = tmp_path / "layers.json"
    _, content = written(path)
    del content["stability"]
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="key 'stability' is missing"):
        read_layers(path)


def test_a_file_for_another_model(tmp_path: Path) -> None:
    path = tmp_path / "layers.json"
    _, content = written(path)
    path.write_text(json.dumps({**content, "layers": [1]}))
    with pytest.raises(InputError, match=r"layers \[1\]: the model has layers 0 to 0"):
        read_layers(path, 1)
    with pytest.raises(InputError, match="traced on a model of 2 layers, but this has 16"):
        read_layers(path, 16)
    with pytest.raises(InputError, match="cannot be read: No such file or directory"):
        read_layers(tmp_path / "nothing.json")
