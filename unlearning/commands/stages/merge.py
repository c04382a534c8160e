"""The stage that merges several LoRA adapters of one model into one, by PEFT's `add_weighted_adapter`.

ZJUKLAB did so at SemEval-2025 Task 4 (arXiv 2503.21088): an adapter that forgets too much and an adapter that forgets
too little, merged by TIES, scored better than each alone.
"""

import filecmp
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn
from transformers import PreTrainedModel

from unlearning.config.commands import Combination, MergeConfig
from unlearning.errors import InputError, first_line

SETTINGS, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
ANY_RANK = (Combination.cat, Combination.svd)
"""Combinations that take adapters of different ranks. Those that end in _svd do too: what they combine has the shape of
the weights."""
MERGED = "default"
"""Name of the merged adapter. PEFT saves the adapter of this name without a folder of its own."""


@dataclass(frozen=True)
class Adapter:
    """A LoRA adapter on disk."""

    given: str
    """The folder as the user named it, for messages."""
    folder: Path
    rank: int
    base: str | None
    """Folder or repository id of the model that it was trained on; None where the adapter does not say."""


def find_adapters(config: MergeConfig) -> list[Adapter]:
    """Return the adapters of config.adapters, in order.

    Raises InputError for a folder that is missing or holds no LoRA adapter, and for adapters that do not go together.
    """
    adapters = [_read(given) for given in config.adapters]
    ranks = [adapter.rank for adapter in adapters]
    any_rank = config.combination in ANY_RANK or config.combination.endswith("_svd")
    if len(set(ranks)) > 1 and not any_rank:
        raise InputError(
            f"combination={config.combination}: needs adapters of one rank, these have {', '.join(map(str, ranks))}; "
            "choose combination=cat, combination=svd or one that ends in _svd"
        )
    for other in adapters[1:]:
        if not _may_be_same_model(adapters[0].base, other.base):
            raise InputError(
                f"adapters: were trained on different models, {adapters[0].given} on {adapters[0].base}, "
                f"{other.given} on {other.base}"
            )
    return adapters


def require_fit(adapters: Sequence[Adapter], model: PreTrainedModel, path: str) -> None:
    """Raise InputError where an adapter was trained on another model than the one of `path`, without its weights."""
    modules = dict(model.named_modules())
    for adapter in adapters:
        if not _may_be_same_model(adapter.base, path):
            raise InputError(f"adapters={adapter.given}: was trained on {adapter.base}, not on model.path={path}")
        _require_modules(adapter, modules)


def merge_adapters(config: MergeConfig, adapters: Sequence[Adapter], model: PreTrainedModel) -> nn.Module:
    """Return `model` with the merged adapter as its only adapter.

    The entries that DARE drops are drawn from config.seed; PyTorch's own random state is left as it was. Raises
    InputError where an adapter's weights do not fit the model.
    """
    with torch.random.fork_rng(devices=[]):
        merged, names = _attach(adapters, model)
        torch.manual_seed(config.seed)
        _combine(config, merged, names)
    for name in names:
        merged.delete_adapter(name)
    combined: nn.Module = merged.eval()
    return combined


def _attach(adapters: Sequence[Adapter], model: PreTrainedModel) -> tuple[Any, list[str]]:
    """Attach all adapters to the model. Returns the model and the adapters' names in it."""
    from peft import PeftModel

    merged: Any = model
    names = [f"given_{number}" for number in range(len(adapters))]
    for name, adapter in zip(names, adapters, strict=True):
        folder = str(adapter.folder)
        try:
            if merged is model:
                merged = PeftModel.from_pretrained(model, folder, adapter_name=name)
            else:
                merged.load_adapter(folder, adapter_name=name)
        except (RuntimeError, ValueError, KeyError, OSError) as error:
            raise InputError(f"adapters={adapter.given}: does not fit the model ({first_line(error)})") from error
    return merged, names


def _combine(config: MergeConfig, model: Any, names: Sequence[str]) -> None:
    """Add the adapter MERGED, made of all others, and make it the only active one."""
    # PEFT copies the first adapter's settings and sets alpha = rank. Without rank-stabilised scaling the merged adapter
    # is then scaled by alpha / rank = 1.
    model.peft_config[names[0]].use_rslora = False
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The density .* no pruning will be performed")
        model.add_weighted_adapter(
            list(names),
            list(config.weights or [1.0] * len(names)),
            MERGED,
            combination_type=config.combination.value,
            svd_full_matrices=False,
            density=config.density,
            majority_sign_method=config.majority_sign_method.value,
        )
    model.set_adapter(MERGED)


def _read(given: str) -> Adapter:
    """Read the adapter in a folder, or in the folder of a run.

    Raises InputError where there is none, or where it cannot be merged.
    """
    asked, folder = f"adapters={given}", Path(given)
    if not folder.is_dir():
        raise InputError(f"{asked}: no such folder")
    folder = folder / "adapter" if (folder / "adapter").is_dir() else folder
    for name in (SETTINGS, WEIGHTS):
        if not (folder / name).is_file():
            raise InputError(f"{asked}: not a LoRA adapter, it has no {name}")
    try:
        settings = json.loads((folder / SETTINGS).read_text())
        kind, dora = settings["peft_type"], settings.get("use_dora", False)
        adapter = Adapter(given, folder, int(settings["r"]), settings.get("base_model_name_or_path"))
        if settings.get("rank_pattern"):
            raise ValueError("rank_pattern: only one rank for all modules is merged")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{asked}: its {SETTINGS} cannot be used ({first_line(error)})") from error
    if kind != "LORA":
        raise InputError(f"{asked}: not a LoRA adapter, but {kind}")
    if dora:
        raise InputError(f"{asked}: a DoRA adapter, whose lengths PEFT does not combine")
    return adapter


def _require_modules(adapter: Adapter, modules: Mapping[str, nn.Module]) -> None:
    """Raise InputError for weights of a module that the model lacks, which PEFT would drop, or of another width."""
    with safe_open(adapter.folder / WEIGHTS, framework="pt") as file:
        shapes = {key: list(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
    for key, shape in shapes.items():
        name = key.removeprefix("base_model.model.").partition(".lora_")[0]
        if name not in modules:
            raise InputError(f"adapters={adapter.given}: does not fit the model, which has no {name}")
        # A is (rank, in) and B is (out, rank); the weight of GPT-2's modules is (in, out).
        side = {".lora_A.": 1, ".lora_B.": 0}.get(key[-len(".lora_A.weight") : -len("weight")])
        weight = getattr(modules[name], "weight", None)
        if side is not None and isinstance(weight, Tensor) and shape[side] not in weight.shape:
            raise InputError(
                f"adapters={adapter.given}: does not fit the model ({key} is of shape {shape}, {name} of "
                f"{list(weight.shape)})"
            )


def _may_be_same_model(first: str | None, second: str | None) -> bool:
    """Return whether two folders or repositories may hold the same model. Copies are recognised by their bytes.

    A folder that no longer exists cannot be compared; the names and shapes of the weights then decide what fits.
    """
    if first is None or second is None or first == second:
        return True
    if Path(first).is_dir() and Path(second).is_dir():
        return Path(first).samefile(second) or _same_weights(Path(first), Path(second))
    return _is_missing_folder(first) or _is_missing_folder(second)


def _same_weights(first: Path, second: Path) -> bool:
    """Return whether two folders hold equal files of weights."""
    names = sorted(path.name for path in first.glob("*.safetensors"))
    same = names == sorted(path.name for path in second.glob("*.safetensors"))
    return same and filecmp.cmpfiles(first, second, names, shallow=False)[0] == names


def _is_missing_folder(path: str) -> bool:
    """Return whether this names a folder, and not a repository, that does not exist."""
    return (path.startswith((".", "/", "~")) or path.count("/") != 1) and not Path(path).is_dir()
