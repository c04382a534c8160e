"""Several LoRA adapters of one model made into one, by PEFT's `add_weighted_adapter`.

As ZJUKLAB at SemEval-2025 Task 4 (arXiv 2503.21088): one adapter that forgets too much and one that forgets too little,
merged by TIES, are better than either.
"""

import filecmp
import json
import warnings
from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import nn
from transformers import PreTrainedModel

from unlearning.config.commands import Combination, MergeConfig
from unlearning.errors import InputError, first_line

SETTINGS, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
ANY_RANK = (Combination.cat, Combination.svd)
"""And those that end in _svd: what they combine has the shape of the weights."""
MERGED = "default"
"""PEFT's name of the one adapter of a model, which it saves without a folder of its own."""


@dataclass(frozen=True)
class Adapter:
    """A LoRA adapter on disk."""

    given: str
    """The folder as the user named it, for messages."""
    folder: Path
    rank: int
    base: str | None
    """Folder or repository of the model that it was trained on, where it says so."""


def find_adapters(config: MergeConfig) -> list[Adapter]:
    """The adapters of config.adapters, in order.

    Raises InputError for a folder that is missing, holds no LoRA adapter, or one that does not go with the others.
    """
    adapters = [_read(given) for given in config.adapters]
    ranks = [adapter.rank for adapter in adapters]
    any_rank = config.combination in ANY_RANK or config.combination.endswith("_svd")
    if len(set(ranks)) > 1 and not any_rank:
        raise InputError(
            f"combination={config.combination}: needs adapters of one rank, these have {', '.join(map(str, ranks))}; "
            "choose cat, svd or one that ends in _svd"
        )
    for other in adapters[1:]:
        if not _may_be_one(adapters[0].base, other.base):
            raise InputError(
                f"adapters: were trained on different models, {adapters[0].given} on {adapters[0].base}, "
                f"{other.given} on {other.base}"
            )
    return adapters


def merge_adapters(config: MergeConfig, adapters: Sequence[Adapter], model: PreTrainedModel, path: str) -> nn.Module:
    """`model`, loaded from `path`, with the merged adapter as its only one.

    What DARE drops is drawn from config.seed; PyTorch's own random state is left as it was. Raises InputError where an
    adapter was trained on another model.
    """
    modules = {name for name, _ in model.named_modules()}
    for adapter in adapters:
        if not _may_be_one(adapter.base, path):
            raise InputError(f"adapters={adapter.given}: was trained on {adapter.base}, not on model.path={path}")
        _require_modules(adapter, modules)
    with torch.random.fork_rng(devices=[]):
        merged, names = _attached(adapters, model)
        torch.manual_seed(config.seed)
        _combine(config, merged, names)
    for name in names:
        merged.delete_adapter(name)
    combined: nn.Module = merged.eval()
    return combined


def _attached(adapters: Sequence[Adapter], model: PreTrainedModel) -> tuple[Any, list[str]]:
    """The model with all adapters, and their names."""
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
    """Add the adapter `MERGED` and let it alone be active."""
    # PEFT gives the merged adapter the first one's settings and alpha = rank, to be scaled by alpha / rank = 1.
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
    """Of an adapter's own folder, or of a run's. InputError where it is not there or cannot be merged."""
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


def _require_modules(adapter: Adapter, modules: Set[str]) -> None:
    """PEFT would leave out, without an error, what is there for modules that the model has not."""
    with safe_open(adapter.folder / WEIGHTS, framework="pt") as file:
        adapted = [key.removeprefix("base_model.model.").partition(".lora_")[0] for key in file.keys()]  # noqa: SIM118
    unknown = next((name for name in adapted if name not in modules), None)
    if unknown is not None:
        raise InputError(f"adapters={adapter.given}: does not fit the model, which has no {unknown}")


def _may_be_one(first: str | None, second: str | None) -> bool:
    """Whether two folders, or repositories, may be one model: copies are told by their bytes.

    A folder that is not here any more cannot be compared: the names and shapes of the weights decide.
    """
    if first is None or second is None or first == second:
        return True
    if Path(first).is_dir() and Path(second).is_dir():
        return Path(first).samefile(second) or _same_weights(Path(first), Path(second))
    return _gone(first) or _gone(second)


def _same_weights(first: Path, second: Path) -> bool:
    names = sorted(path.name for path in first.glob("*.safetensors"))
    same = names == sorted(path.name for path in second.glob("*.safetensors"))
    return same and filecmp.cmpfiles(first, second, names, shallow=False)[0] == names


def _gone(path: str) -> bool:
    """Whether it is no repository's name, and no folder that is here."""
    return (path.startswith((".", "/", "~")) or path.count("/") != 1) and not Path(path).is_dir()
