"""Choices that are each allowed and make no sense together: they are refused in one line, with the reason.

The configuration alone decides, before anything slow. What depends on the model's depth waits until the model is
loaded: `require_layer_in_reach`.
"""

from unlearning.config.commands import (
    CommonConfig,
    EvaluateConfig,
    MemoriseConfig,
    MergeConfig,
    ProbeCommandConfig,
    TraceCommandConfig,
    UnlearnConfig,
)
from unlearning.config.evaluation import Precision
from unlearning.config.incompatible_training import refuse_incompatible_training
from unlearning.config.model import ModelConfig, Quantization
from unlearning.config.objective import (
    DPOConfig,
    FinetuneConfig,
    ObjectiveConfig,
    RMUConfig,
    UnDIALConfig,
    WeightedConfig,
)
from unlearning.config.prompt import Supervised
from unlearning.config.refusing import objective_name, refuse_if
from unlearning.config.schedule import AlternatingScheduleConfig
from unlearning.config.scope import LayersScopeConfig, LoraScopeConfig, TracedScopeConfig
from unlearning.config.trainer import TrainerConfig

_UNREACHED = "everything that scope trains comes after this layer, whose output would never change"


_ON_WHOLE_WEIGHTS: dict[type[CommonConfig], str] = {
    MemoriseConfig: "unlearn-memorise",
    TraceCommandConfig: "unlearn-trace",
    MergeConfig: "unlearn-merge",
    ProbeCommandConfig: "unlearn-probe",
}
"""Commands that change whole weights, or look into them."""


def refuse_incompatible(config: object) -> None:
    """Raise InputError for the first choices of a command's settings that make no sense together."""
    if isinstance(config, UnlearnConfig | EvaluateConfig):
        _refuse_official_4_bits(config)
    if isinstance(config, UnlearnConfig):
        _refuse_idle_rows(config)
        _refuse_alternating(config)
        _refuse_unseen_layer(config)
        _refuse_reference(config.objective)
        _refuse_prompt(config)
        _refuse_4_bits(config)
        refuse_incompatible_training(config)
    elif isinstance(config, EvaluateConfig):
        _require_gpu_for_4_bits(config.model, config.trainer)
    elif isinstance(config, CommonConfig):
        if isinstance(config, MemoriseConfig):
            _refuse_traced(config)
        refuse_quantization(config.model, _ON_WHOLE_WEIGHTS[type(config)])


def refuse_quantization(model: ModelConfig, command: str) -> None:
    """Raise InputError for 4-bit weights: `command` needs whole weights."""
    asked = f"model.quantization={model.quantization}"
    refuse_if(
        model.quantization is not Quantization.none,
        asked,
        f"{command} works on whole weights; choose model.quantization=none",
    )


def require_layer_in_reach(layer: int, first_trained_layer: int, depth: int) -> None:
    """Raise InputError where the objective's layer does not exist, or comes before everything that is trained.

    `first_trained_layer` is `depth` where only the head moves, and 0 where the embeddings move.
    """
    asked = f"objective.layer={layer}"
    refuse_if(layer >= depth, asked, f"this model's layers are 0 to {depth - 1}")
    refuse_if(first_trained_layer > layer, asked, _UNREACHED)


def uses_forget(objective: ObjectiveConfig) -> bool:
    """Return whether forget rows enter the loss."""
    if isinstance(objective, WeightedConfig):
        return objective.forget_weight > 0
    return not isinstance(objective, FinetuneConfig)


def uses_retain(objective: ObjectiveConfig) -> bool:
    """Return whether retain rows enter the loss."""
    if isinstance(objective, RMUConfig):
        return objective.alpha > 0
    return objective.retain_weight > 0 or objective.divergence_weight > 0


def lowest_layer(text: str) -> int | None:
    """Return the lowest layer that a range names.

    Return None where it depends on the model's depth, and where the range is malformed.
    """
    lowest: list[int] = []
    for part in text.replace(" ", "").split(","):
        start = "0" if part == "all" else part.split(":")[0] or "0" if ":" in part else part.split("-")[0]
        if not start.isdigit():
            return None
        lowest.append(int(start))
    return min(lowest)


def _refuse_idle_rows(config: UnlearnConfig) -> None:
    """Refuse a run that has nothing to minimise."""
    objective = config.objective
    forget, retain = uses_forget(objective), uses_retain(objective)
    name = objective_name(objective)
    refuse_if(not forget and not retain, name, "all its weights are 0, so that there is nothing to minimise")
    refuse_if(
        not forget and config.ratio.retain_per_forget == 0,
        f"ratio.retain_per_forget=0, {name}",
        "the objective uses retain rows only, and the ratio leaves none",
    )


def _refuse_alternating(config: UnlearnConfig) -> None:
    """Refuse the alternating schedule with what needs both sets in one step, or with an idle phase."""
    if not isinstance(config.schedule, AlternatingScheduleConfig):
        return
    ratio, objective = config.ratio.retain_per_forget, config.objective
    refuse_if(
        ratio is not None,
        f"schedule=alternating, ratio.retain_per_forget={ratio}",
        "forget and retain rows never share a step there; choose ratio.retain_per_forget=null",
    )
    name = f"schedule=alternating, {objective_name(objective)}"
    refuse_if(not uses_retain(objective), name, "the objective uses no retain rows, so that annealing would do nothing")
    refuse_if(not uses_forget(objective), name, "the objective uses no forget rows, so that ascent would do nothing")


def _refuse_unseen_layer(config: UnlearnConfig) -> None:
    """Refuse an objective on one layer's output where only weights after that layer move."""
    objective, scope = config.objective, config.scope
    if not isinstance(objective, RMUConfig):
        return
    if isinstance(scope, LayersScopeConfig):
        if scope.complement or scope.embeddings:
            return
        refuse_if(
            not scope.modules, f"scope.modules=[], {objective_name(objective)}", "only the head moves, after all layers"
        )
    elif not isinstance(scope, LoraScopeConfig):
        return
    lowest = lowest_layer(scope.layers)
    asked = f"scope.layers={scope.layers}, objective.layer={objective.layer}"
    refuse_if(lowest is not None and lowest > objective.layer, asked, _UNREACHED)


def _refuse_traced(config: MemoriseConfig) -> None:
    """Refuse layers that only a trace would name: what nothing has memorised yet cannot be traced."""
    refuse_if(
        isinstance(config.scope, TracedScopeConfig),
        "scope=traced",
        "nothing is traced before memorising; choose scope=all or scope=lora",
    )


def _refuse_reference(objective: ObjectiveConfig) -> None:
    """Refuse a number of reference tokens where nothing is compared with the model before unlearning."""
    kept = objective.reference_top_k
    refuse_if(
        kept is not None and objective.divergence_weight == 0 and not isinstance(objective, UnDIALConfig),
        f"objective.reference_top_k={kept}, objective.divergence_weight=0",
        "nothing is compared with the model before unlearning; choose objective.reference_top_k=null",
    )


def _refuse_prompt(config: UnlearnConfig) -> None:
    """Refuse whole documents for an objective that compares an answer with a refusal after the same prompt."""
    refuse_if(
        isinstance(config.objective, DPOConfig) and config.prompt.forget_supervised is Supervised.document,
        f"prompt.forget_supervised=document, {objective_name(config.objective)}",
        "an answer is compared with a refusal, whose prompt is the same; choose prompt.forget_supervised=output",
    )


def _refuse_4_bits(config: UnlearnConfig) -> None:
    """Refuse 4-bit weights where anything but adapters on one GPU would move."""
    if config.model.quantization is Quantization.none:
        return
    asked = f"model.quantization={config.model.quantization}"
    fsdp = config.trainer.strategy == "fsdp"
    refuse_if(
        not isinstance(config.scope, LoraScopeConfig), asked, "only adapters are trained on it; choose scope=lora"
    )
    refuse_if(fsdp, f"{asked}, trainer.strategy=fsdp", "4-bit weights are not sharded; choose trainer.strategy=auto")
    _require_gpu_for_4_bits(config.model, config.trainer)


def _refuse_official_4_bits(config: UnlearnConfig | EvaluateConfig) -> None:
    """Refuse bfloat16 scores of a target whose weights have no such type."""
    four_bits = config.model.quantization is not Quantization.none
    asked = f"evaluation.precision=official, model.quantization={config.model.quantization}"
    refuse_if(
        four_bits and config.evaluation.precision is Precision.official,
        asked,
        "weights in 4 bits are not cast to bfloat16; choose evaluation.precision=own",
    )


def _require_gpu_for_4_bits(model: ModelConfig, trainer: TrainerConfig) -> None:
    """Raise InputError for weights in 4 bits on a CPU."""
    refuse_if(
        model.quantization is not Quantization.none and trainer.accelerator == "cpu",
        f"model.quantization={model.quantization}, trainer.accelerator=cpu",
        "4-bit weights need a CUDA GPU",
    )
