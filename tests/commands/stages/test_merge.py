"""The stage that merges adapters: TIES equals a naive implementation, DARE follows its seed, sums are exact."""

import json
import math
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PreTrainedModel

from tests.tiny_models import tiny_model
from unlearning.commands.stages.merge import find_adapters, merge_adapters, require_fit
from unlearning.config.commands import Combination, MajoritySign, MergeConfig
from unlearning.config.model import ModelConfig
from unlearning.errors import InputError
from unlearning.scopes.adapters import LoraScope

LAYER = "model.layers.0.self_attn.q_proj"
Matrix = list[list[float]]


def base_model(folder: Path) -> PreTrainedModel:
    """Return a tiny model that is written once to `folder`, so that adapters can name it."""
    if not (folder / "config.json").exists():
        tiny_model("llama").save_pretrained(folder)
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(folder)
    return model


def adapter(run: Path, base: Path, seed: int, **changes: Any) -> Path:
    """Save an adapter on the first layer's q of the tiny model, as a run saves it, its numbers drawn from `seed`."""
    scope = LoraScope(**{"rank": 2, "alpha": 8.0, "targets": ["q"], "layers": "0", **changes})
    scoped = scope.apply(base_model(base), None)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in scoped.named_parameters():
            if "lora_" in name:
                parameter.normal_(0.0, 0.1, generator=generator)
    assert isinstance(scoped, PeftModel)
    scoped.save_pretrained(run / "adapter")
    return run


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """Return the folder of the model that the adapters were trained on."""
    return tmp_path / "base"


def settings(adapters: Sequence[Path], **changes: Any) -> MergeConfig:
    """Return a checked configuration."""
    model = ModelConfig(name="tiny", path="unused")
    return MergeConfig(name="merge", model=model, adapters=list(map(str, adapters)), **changes)


def merged(config: MergeConfig, base: Path) -> nn.Module:
    """Return the tiny model with the merged adapter."""
    adapters, model = find_adapters(config), base_model(base)
    require_fit(adapters, model, str(base))
    return merge_adapters(config, adapters, model)


def factors(scoped: nn.Module) -> tuple[Tensor, Tensor]:
    """Return (A, B) of the merged adapter, which is the only one, on the one linear module that has one."""
    found = {name.split(".lora_")[1]: value for name, value in scoped.named_parameters() if "lora_" in name}
    return found["A.default.weight"].detach(), found["B.default.weight"].detach()


def update(scoped: nn.Module, base: Path) -> Tensor:
    """Return by how much the weight changes when the adapter is merged into it."""
    weight: Tensor = scoped.merge_and_unload().get_submodule(LAYER).weight  # type: ignore[operator]
    return weight.detach() - base_model(base).get_submodule(LAYER).weight.detach()  # type: ignore[union-attr, operator]


def loaded_factors(run: Path, base: Path) -> tuple[Matrix, Matrix]:
    """Return (A, B) of an adapter on disk."""
    a, b = factors(PeftModel.from_pretrained(base_model(base), run / "adapter"))
    return a.tolist(), b.tolist()


# ---------------------------------------------------------------- TIES


def naive_ties(matrices: Sequence[Matrix], weights: Sequence[float], density: float, count_signs: bool) -> Matrix:
    """Trim each matrix to its largest entries, elect a sign for each place, and average the entries of that sign.

    Yadav et al. 2023, arXiv 2306.01708, section 4; without the final factor lambda.
    """
    rows, columns = len(matrices[0]), len(matrices[0][0])
    kept = []
    for matrix in matrices:
        places = [(abs(matrix[i][j]), i, j) for i in range(rows) for j in range(columns)]
        largest = {(i, j) for _, i, j in sorted(places, reverse=True)[: int(density * len(places))]}
        kept.append([[matrix[i][j] if (i, j) in largest else 0.0 for j in range(columns)] for i in range(rows)])
    result = [[0.0] * columns for _ in range(rows)]
    for i in range(rows):
        for j in range(columns):
            values = [matrix[i][j] for matrix in kept]
            votes = sum((value > 0) - (value < 0) for value in values) if count_signs else sum(values)
            positive = votes >= 0
            agree = [n for n, value in enumerate(values) if (value > 0 if positive else value < 0)]
            if agree:
                result[i][j] = sum(weights[n] * values[n] for n in agree) / len(agree)
    return result


def test_the_naive_implementation_by_hand() -> None:
    """At density 3/4 of 4 entries, each matrix loses its smallest entry.

    [4, -1, 3, 0.5] keeps [4, -1, 3, 0]; [-2, -3, 1, 6] keeps [-2, -3, 0, 6]. Sums 2, -4, 3, 6 elect +, -, +, +.
    With weights 1 and 2: 4; (-1 - 6) / 2 = -3.5; 3; 12.
    """
    first, second = [[4.0, -1.0, 3.0, 0.5]], [[-2.0, -3.0, 1.0, 6.0]]
    assert naive_ties([first, second], [1.0, 2.0], 0.75, count_signs=False) == [[4.0, -3.5, 3.0, 12.0]]


@pytest.mark.grid
@pytest.mark.parametrize("sign", list(MajoritySign))
@pytest.mark.parametrize(("weights", "density"), [(None, 0.8), ([0.5, 2.0, 1.0], 0.3)], ids=["zjuklab", "weighted"])
def test_ties_equals_the_naive_implementation(
    weights: list[float] | None, density: float, sign: MajoritySign, tmp_path: Path, base: Path
) -> None:
    """A and B are merged apart, weighted by the root of weight * alpha / rank; the result is not scaled again."""
    runs = [adapter(tmp_path / name, base, seed) for seed, name in enumerate("abc")]
    config = settings(runs, weights=weights, density=density, majority_sign_method=sign)
    roots = [math.sqrt(weight * 8.0 / 2) for weight in weights or [1.0, 1.0, 1.0]]
    on_disk = [loaded_factors(run, base) for run in runs]
    a, b = (
        torch.tensor(naive_ties([pair[side] for pair in on_disk], roots, density, sign is MajoritySign.frequency))
        for side in (0, 1)
    )
    scoped = merged(config, base)
    found_a, found_b = factors(scoped)
    torch.testing.assert_close(found_a, a)
    torch.testing.assert_close(found_b, b)
    torch.testing.assert_close(update(scoped, base), b @ a)


# ---------------------------------------------------------------- DARE


@pytest.mark.by_default("dare_ties_svd")
@pytest.mark.parametrize("combination", [Combination.dare_ties, Combination.dare_linear, Combination.dare_ties_svd])
def test_dare_is_the_same_for_the_same_seed(combination: Combination, tmp_path: Path, base: Path) -> None:
    """Another seed gives another result; PyTorch's own random state does not change."""
    runs = [adapter(tmp_path / name, base, seed) for seed, name in enumerate("ab")]

    def at(seed: int) -> Tensor:
        config = settings(runs, combination=combination, density=0.5, seed=seed)
        model, found = base_model(base), find_adapters(config)
        torch.rand(5)
        state = torch.get_rng_state()
        scoped = merge_adapters(config, found, model)
        assert torch.equal(torch.get_rng_state(), state)
        return update(scoped, base)

    first = at(3)
    assert torch.equal(first, at(3))
    assert not torch.allclose(first, at(4))


# ---------------------------------------------------------------- sums


def delta(run: Path, base: Path) -> Tensor:
    """Return the change of the weight that one adapter makes by itself."""
    return update(PeftModel.from_pretrained(base_model(base), run / "adapter"), base)


def test_cat_is_the_exact_weighted_sum(tmp_path: Path, base: Path) -> None:
    """The adapters have different ranks and scales, and one is rank-stabilised (alpha / sqrt(rank))."""
    stable = adapter(tmp_path / "stable", base, 0, rank=4, alpha=6.0, rslora=True)
    plain = adapter(tmp_path / "plain", base, 1)
    config = settings([stable, plain], combination=Combination.cat, weights=[0.5, -2.0])
    scoped = merged(config, base)
    assert factors(scoped)[0].shape[0] == 4 + 2
    torch.testing.assert_close(update(scoped, base), 0.5 * delta(stable, base) - 2.0 * delta(plain, base))


def test_svd_is_exact_where_the_rank_suffices(tmp_path: Path, base: Path) -> None:
    """An adapter of rank 2 and half of itself again have rank 2 together."""
    run = adapter(tmp_path / "a", base, 0)
    config = settings([run, run], combination=Combination.svd, weights=[1.0, 0.5])
    torch.testing.assert_close(update(merged(config, base), base), 1.5 * delta(run, base))


def test_density_one_keeps_everything_without_a_warning(tmp_path: Path, base: Path) -> None:
    """PEFT would warn that nothing is pruned, which is what was asked for."""
    run = adapter(tmp_path / "a", base, 0)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="The density")
        scoped = merged(settings([run, run], density=1.0), base)
    torch.testing.assert_close(update(scoped, base), delta(run, base))


@pytest.mark.by_default("ties_svd", "cat", "dare_linear", "magnitude_prune")
@pytest.mark.parametrize("combination", list(Combination))
def test_every_combination_gives_one_adapter_that_saves_and_loads(
    combination: Combination, tmp_path: Path, base: Path
) -> None:
    """It is saved into the folder itself, and changes the weight as before."""
    runs = [adapter(tmp_path / name, base, seed) for seed, name in enumerate("ab")]
    scoped = merged(settings(runs, combination=combination), base)
    assert isinstance(scoped, PeftModel)
    scoped.save_pretrained(tmp_path / "saved" / "adapter")
    torch.testing.assert_close(delta(tmp_path / "saved", base), update(scoped, base))


# ---------------------------------------------------------------- refusals


def change(run: Path, **values: object) -> Path:
    """Change settings in an adapter's file."""
    path = run / "adapter" / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    return run


def refusal(config: MergeConfig, base: Path) -> str:
    """Return the one line with which a merge is refused."""
    with pytest.raises(InputError) as caught:
        merged(config, base)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_folders_that_are_no_adapters(tmp_path: Path, base: Path) -> None:
    """Each is refused: missing, without an adapter, without weights, of another kind, with unreadable settings."""
    good = adapter(tmp_path / "good", base, 0)
    assert "nowhere: no such folder" in refusal(settings([good, tmp_path / "nowhere"]), base)
    assert "base: not a LoRA adapter, it has no adapter_config.json" in refusal(settings([good, base]), base)
    bare = adapter(tmp_path / "bare", base, 0)
    (bare / "adapter" / "adapter_model.safetensors").unlink()
    assert "bare: not a LoRA adapter, it has no adapter_model.safetensors" in refusal(settings([good, bare]), base)
    other = change(adapter(tmp_path / "other", base, 0), peft_type="IA3")
    assert "other: not a LoRA adapter, but IA3" in refusal(settings([good, other]), base)
    (bare / "adapter" / "adapter_model.safetensors").write_bytes(b"")
    (bare / "adapter" / "adapter_config.json").write_text("{")
    assert "bare: its adapter_config.json cannot be used" in refusal(settings([good, bare]), base)


def test_adapters_that_do_not_go_together(tmp_path: Path, base: Path) -> None:
    """Different ranks, DoRA's lengths, and a model of another name are refused."""
    good, wide = adapter(tmp_path / "good", base, 0), adapter(tmp_path / "wide", base, 0, rank=4)
    ranks = refusal(settings([good, wide]), base)
    assert (
        "combination=ties: needs adapters of one rank, these have 2, 4; choose combination=cat, combination=svd"
        in ranks
    )
    for advised in (Combination.cat, Combination.svd):
        merged(settings([good, wide], combination=advised), base)
    dora = adapter(tmp_path / "dora", base, 0, dora=True)
    assert "dora: a DoRA adapter" in refusal(settings([good, dora]), base)
    hub = change(adapter(tmp_path / "hub", base, 0), base_model_name_or_path="owner/name")
    assert "adapters: were trained on different models" in refusal(settings([good, hub]), base)
    assert "was trained on owner/name, not on model.path=" in refusal(settings([hub, hub]), base)


def test_a_copy_of_the_model_is_the_model(tmp_path: Path, base: Path) -> None:
    """A folder with the same bytes is accepted, and one with other weights is refused."""
    first, copy, other = adapter(tmp_path / "first", base, 0), tmp_path / "copy", tmp_path / "other"
    shutil.copytree(base, copy)
    merged(settings([first, adapter(tmp_path / "second", copy, 1)]), base)
    merged(settings([first, first]), copy)
    tiny_model("llama", seed=1).save_pretrained(other)
    assert f"second on {other}" in refusal(settings([first, adapter(tmp_path / "second", other, 1)]), base)
    assert f"was trained on {base}, not on model.path={other}" in refusal(settings([first, first]), other)


def test_adapters_of_a_model_that_is_elsewhere_now(tmp_path: Path, base: Path) -> None:
    """A folder that no longer exists cannot be compared, so the names and shapes of the weights decide."""
    moved = change(adapter(tmp_path / "moved", base, 0), base_model_name_or_path="/nowhere/model")
    torch.testing.assert_close(
        update(merged(settings([moved, moved], density=1.0), base), base), delta(tmp_path / "moved", base)
    )
    deep = tmp_path / "deep"
    tiny_model("llama", num_hidden_layers=4).save_pretrained(deep)
    deeper = change(adapter(tmp_path / "deeper", deep, 0, layers="all"), base_model_name_or_path="/nowhere/model")
    assert "deeper: does not fit the model, which has no model.layers." in refusal(settings([deeper, deeper]), base)
    broad = tmp_path / "broad"
    tiny_model("llama", hidden_size=64, head_dim=16).save_pretrained(broad)
    broader = change(adapter(tmp_path / "broader", broad, 0), base_model_name_or_path="/nowhere/model")
    assert "broader: does not fit the model (" in refusal(settings([broader, broader]), base)
