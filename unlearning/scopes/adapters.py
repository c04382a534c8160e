"""The scope of low-rank adapters on frozen weights (PEFT), and how adapters move to another copy of the model."""

import os
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn
from transformers import PreTrainedModel

from unlearning.errors import InputError
from unlearning.models import anatomy
from unlearning.scopes.layers import parse_layers

if TYPE_CHECKING:
    from peft import PeftModel


@dataclass(frozen=True)
class LoraScope:
    """Low-rank adapters on linear modules (PEFT); all original weights are frozen.

    Targets are the usual names q, k, v, o, gate, up, down; an architecture that fuses some of them gets one adapter on
    the fused module. A weight W (out, in) becomes W + (alpha / rank) * B @ A, where B is (out, rank) and A (rank, in)
    (Hu et al. 2021, arXiv 2106.09685);

    - `rslora`: W + (alpha / sqrt(rank)) * B @ A (Kalajdzievski 2023, arXiv 2312.03732);
    - `dora`: the length of each output's weight vector is trained apart from its direction (Liu et al. 2024,
      arXiv 2402.09353);
    - weights in 4 bits (model.quantization=nf4): QLoRA (Dettmers et al. 2023, arXiv 2305.14314).
    """

    rank: int = 16
    alpha: float = 64.0
    dropout: float = 0.0
    targets: list[str] = field(default_factory=lambda: ["q", "v", "up", "down"])
    layers: str = "all"
    dora: bool = False
    rslora: bool = False

    def require_fits(self, model: PreTrainedModel) -> None:
        """Raise InputError where a target or a layer does not exist."""
        self._target_names(model)

    def apply(self, model: PreTrainedModel, traced_layers: Sequence[int] | None) -> nn.Module:  # noqa: ARG002
        """Attach the adapters. Raises InputError where a target or a layer does not exist, or PEFT refuses it."""
        from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

        names = self._target_names(model)
        if in_4_bits(model):
            # This puts norms and head into float32. Gradient checkpointing is a setting of the trainer.
            model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
        config = LoraConfig(
            r=self.rank,
            lora_alpha=self.alpha,
            lora_dropout=self.dropout,
            target_modules=names,
            task_type="CAUSAL_LM",
            fan_in_fan_out=_fan_in_fan_out(model, names),
            use_dora=self.dora,
            use_rslora=self.rslora,
        )
        try:
            wrapped: nn.Module = get_peft_model(model, config)
        except ValueError as error:
            # Experts whose weights are one tensor cannot have all targets.
            targets = ", ".join(self.targets)
            message = f"scope.targets={targets}: {error} Without the experts it works: scope.targets=[q,v]"
            raise InputError(message) from error
        return wrapped

    def _target_names(self, model: PreTrainedModel) -> list[str]:
        layers = anatomy.layers(model)
        prefixes = {id(module): name for name, module in model.named_modules()}
        names: list[str] = []
        for index in parse_layers(self.layers, len(layers)):
            modules = anatomy.linear_modules(layers[index])
            for target in self.targets:
                if not modules[target]:
                    have = ", ".join(role for role, found in modules.items() if found)
                    raise InputError(f"scope.targets={target}: not in layer {index} of this model, which has {have}")
                names += [f"{prefixes[id(layers[index])]}.{module}" for module in modules[target]]
        return sorted(set(names))


def in_4_bits(model: nn.Module) -> bool:
    """Return whether the weights are held in 4 bits."""
    return bool(getattr(model, "is_loaded_in_4bit", False))


def save_adapters(scoped: "PeftModel", folder: Path) -> None:
    """Write the adapters. Their settings name the base model so that PEFT finds it from any working folder."""
    base = scoped.get_base_model()
    name = base.name_or_path
    for settings in scoped.peft_config.values():
        settings.base_model_name_or_path = os.path.abspath(name) if os.path.isdir(name) else name
        # The commit that was loaded; None for a folder.
        settings.revision = getattr(base.config, "_commit_hash", None)
    scoped.save_pretrained(str(folder))


def adapters_moved_to(base: PreTrainedModel, scoped: nn.Module) -> nn.Module:
    """Return `base`, another copy of the same weights, with the adapters of `scoped`.

    Adapters that were trained on 4-bit weights need this: merged into those weights, they would be rounded to 4 bits.
    """
    from peft import PeftModel, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict

    if not isinstance(scoped, PeftModel):
        raise TypeError(f"{type(scoped).__name__} has no adapters")
    moved: nn.Module = get_peft_model(base, deepcopy(scoped.peft_config[scoped.active_adapter]))
    set_peft_model_state_dict(moved, get_peft_model_state_dict(scoped))
    return moved


def _fan_in_fan_out(model: PreTrainedModel, names: Sequence[str]) -> bool:
    """Return whether a module keeps its weight transposed, as GPT-2's Conv1D does; PEFT must be told."""
    return any(type(model.get_submodule(name)).__name__ == "Conv1D" for name in names)
