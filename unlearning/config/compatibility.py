"""Choices that are each in order and make no sense together: refused in one line, with the reason.

Known from the configuration alone, so before anything slow. What depends on the model's depth waits until it is loaded:
`require_layer_in_reach`.
"""

from typing import TYPE_CHECKING

from unlearning.config.baselines import DPOConfig, RelabelConfig, RMUConfig, UnDIALConfig
from unlearning.config.model import ModelConfig, Quantization
from unlearning.config.objective import FinetuneConfig, ObjectiveConfig, WeightedConfig
from unlearning.config.prompt import Supervised
from unlearning.config.schedule import AlternatingScheduleConfig
from unlearning.config.scope import LayersScopeConfig, LoraScopeConfig
from unlearning.config.trainer import TrainerConfig
from unlearning.errors import InputError

if TYPE_CHECKING:
    from unlearning.config.commands import UnlearnConfig

_UNREACHED = "everything that scope trains comes after this layer, whose output would never change"


def refuse_incompatible(config: "UnlearnConfig") -> None:
    """Raise InputError for the first pair of choices that makes no sense."""
    _refuse_idle_rows(config)
    _refuse_alternating(config)
    _refuse_unseen_layer(config)
    _refuse_reference(config.objective)
    _refuse_prompt(config)
    _refuse_4_bits(config)
    _refuse_scaling(config)
    _refuse_sharded_best(config)


def refuse_quantization(model: ModelConfig, command: str) -> None:
    """Raise InputError: only adapters are trained on 4-bit weights, and `command` trains none."""
    asked = f"model.quantization={model.quantization}"
    _refuse(model.quantization is not Quantization.none, asked, f"{command} works on whole weights; choose none")


def require_gpu_for_4_bits(model: ModelConfig, trainer: TrainerConfig) -> None:
    """Raise InputError for weights in 4 bits on a CPU."""
    _refuse(
        model.quantization is not Quantization.none and trainer.accelerator == "cpu",
        f"model.quantization={model.quantization}, trainer.accelerator=cpu",
        "4-bit weights need a CUDA GPU",
    )


def require_layer_in_reach(layer: int, first_trained_layer: int, depth: int) -> None:
    """Raise InputError where the objective's layer does not exist, or comes before everything that is trained.

    `first_trained_layer`: `depth` where nothing but the head moves, 0 where the embeddings do.
    """
    asked = f"objective.layer={layer}"
    _refuse(layer >= depth, asked, f"this model's layers are 0 to {depth - 1}")
    _refuse(first_trained_layer > layer, asked, _UNREACHED)


def uses_forget(objective: ObjectiveConfig) -> bool:
    """Whether forget rows enter the loss."""
    if isinstance(objective, WeightedConfig):
        return objective.forget_weight > 0
    return not isinstance(objective, FinetuneConfig)


def uses_retain(objective: ObjectiveConfig) -> bool:
    """Whether retain rows enter the loss."""
    if isinstance(objective, RMUConfig):
        return objective.alpha > 0
    return objective.retain_weight > 0 or objective.divergence_weight > 0


def lowest_layer(text: str) -> int | None:
    """The lowest layer that a range names; None where that depends on the model's depth, or the range is malformed."""
    lowest: list[int] = []
    for part in text.replace(" ", "").split(","):
        start = "0" if part == "all" else part.split(":")[0] or "0" if ":" in part else part.split("-")[0]
        if not start.isdigit():
            return None
        lowest.append(int(start))
    return min(lowest)


def _refuse(condition: bool, asked: str, reason: str) -> None:
    if condition:
        raise InputError(f"{asked}: {reason}")


def _refuse_idle_rows(config: "UnlearnConfig") -> None:
    """A run that would have nothing to minimise."""
    objective = config.objective
    forget, retain = uses_forget(objective), uses_retain(objective)
    name = _name(objective)
    _refuse(not forget and not retain, name, "all its weights are 0, so that there is nothing to minimise")
    _refuse(
        not forget and config.ratio.retain_per_forget == 0,
        f"ratio.retain_per_forget=0, {name}",
        "the objective uses retain rows only, and the ratio leaves none",
    )


def _refuse_alternating(config: "UnlearnConfig") -> None:
    """Phases of forget rows and phases of retain rows, in turns."""
    if not isinstance(config.schedule, AlternatingScheduleConfig):
        return
    ratio, objective = config.ratio.retain_per_forget, config.objective
    _refuse(
        ratio is not None,
        f"schedule=alternating, ratio.retain_per_forget={ratio}",
        "forget and retain rows never share a step there; choose ratio=natural",
    )
    name = f"schedule=alternating, {_name(objective)}"
    _refuse(not uses_retain(objective), name, "the objective uses no retain rows, so that annealing would do nothing")
    _refuse(not uses_forget(objective), name, "the objective uses no forget rows, so that ascent would do nothing")


def _refuse_unseen_layer(config: "UnlearnConfig") -> None:
    """An objective that looks at one layer's output, which weights after that layer do not change."""
    objective, scope = config.objective, config.scope
    if not isinstance(objective, RMUConfig):
        return
    if isinstance(scope, LayersScopeConfig):
        if scope.complement or scope.embeddings:
            return
        _refuse(not scope.modules, f"scope.modules=[], {_name(objective)}", "only the head moves, after all layers")
    elif not isinstance(scope, LoraScopeConfig):
        return
    lowest = lowest_layer(scope.layers)
    asked = f"scope.layers={scope.layers}, objective.layer={objective.layer}"
    _refuse(lowest is not None and lowest > objective.layer, asked, _UNREACHED)


def _refuse_reference(objective: ObjectiveConfig) -> None:
    """Tokens kept of the model before unlearning, which UnDIAL and divergences compare with."""
    kept = objective.reference_top_k
    _refuse(
        kept is not None and objective.divergence_weight == 0 and not isinstance(objective, UnDIALConfig),
        f"objective.reference_top_k={kept}, objective.divergence_weight=0",
        "nothing is compared with the model before unlearning; choose null, or give the divergence a weight",
    )


def _refuse_prompt(config: "UnlearnConfig") -> None:
    """An answer and a refusal are compared, after the same prompt."""
    _refuse(
        isinstance(config.objective, DPOConfig) and config.prompt.forget_supervised is Supervised.document,
        f"prompt.forget_supervised=document, {_name(config.objective)}",
        "an answer is compared with a refusal, whose prompt is the same; choose output",
    )


def _refuse_4_bits(config: "UnlearnConfig") -> None:
    """Weights in 4 bits stay as they are; only adapters on them can move."""
    if config.model.quantization is Quantization.none:
        return
    asked = f"model.quantization={config.model.quantization}"
    fsdp = config.trainer.strategy == "fsdp"
    _refuse(not isinstance(config.scope, LoraScopeConfig), asked, "only adapters are trained on it; choose scope=lora")
    _refuse(fsdp, f"{asked}, trainer.strategy=fsdp", "4-bit weights are not sharded; choose auto or ddp")
    require_gpu_for_4_bits(config.model, config.trainer)


def _refuse_scaling(config: "UnlearnConfig") -> None:
    """start + update_scale * (trained - start)."""
    asked, every = f"update_scale={config.update_scale:g}", config.stopping.check_every_steps
    if config.update_scale == 1:
        return
    dora = isinstance(config.scope, LoraScopeConfig) and config.scope.dora
    fsdp = config.trainer.strategy == "fsdp"
    _refuse(
        config.update_scale < 0 and not isinstance(config.objective, RelabelConfig),
        f"{asked}, {_name(config.objective)}",
        "what is negated must be something learnt, or forgetting becomes learning; choose objective=task_vector",
    )
    _refuse(dora, f"{asked}, scope.dora=true", "its update is not a multiple of its adapter; choose scope=lora")
    _refuse(fsdp, f"{asked}, trainer.strategy=fsdp", "no process has whole weights to scale; choose auto or ddp")
    _refuse(
        every is not None,
        f"{asked}, stopping.check_every_steps={every}",
        "checks would judge the weights before they are scaled; choose null",
    )


def _refuse_sharded_best(config: "UnlearnConfig") -> None:
    """The best state so far would have to be put together on one device after each check."""
    every = config.stopping.check_every_steps
    _refuse(
        config.trainer.strategy == "fsdp" and config.stopping.keep_best and every is not None,
        f"stopping.keep_best=true, stopping.check_every_steps={every}, trainer.strategy=fsdp",
        "sharded weights are not kept at a check; choose keep_best=false",
    )


def _name(objective: ObjectiveConfig) -> str:
    """As on the command line, as nearly as the configuration tells."""
    return f"objective={objective._target_.rpartition('.')[2]}"
