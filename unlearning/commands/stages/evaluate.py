"""The stage that scores: the model of the run, and the target and retrained models that it is compared with."""

from dataclasses import replace
from pathlib import Path

from transformers import PreTrainedModel

from unlearning.commands.stages.load import RunInputs
from unlearning.config.commands import ScoredConfig
from unlearning.config.evaluation import HarnessConfig
from unlearning.config.prompt import Supervised
from unlearning.evaluation import harness
from unlearning.evaluation.cache import cached_evaluate
from unlearning.evaluation.distribution import FabricProcessGroup
from unlearning.evaluation.evaluated_model import EvaluatedModel
from unlearning.evaluation.own_metrics import measure_own
from unlearning.evaluation.precision import weights_in
from unlearning.evaluation.result import EvaluationResult
from unlearning.models.load import load_model
from unlearning.training.hardware import one_device
from unlearning.training.trainer import weights_dtype


def evaluate_references(config: ScoredConfig, inputs: RunInputs) -> dict[str, EvaluationResult]:
    """Evaluate the models that the unlearned model is compared with.

    Returns the results under "target" and, where there is a retrained model, "retrained". Raises as `evaluate_model`.
    """
    retrained = evaluate_retrained(config, inputs)
    target = {"target": evaluate_model(config, inputs, inputs.model, "target", retrained)}
    return target if retrained is None else target | {"retrained": retrained}


def evaluate_retrained(
    config: ScoredConfig, inputs: RunInputs, processes: FabricProcessGroup | None = None
) -> EvaluationResult | None:
    """Evaluate the retrained model; None where there is none. Raises as `evaluate_model`."""
    if inputs.retrained_path is None:
        return None
    model = load_model(inputs.retrained_path, config.model, weights_dtype(config.trainer), "model.retrained")
    return evaluate_model(config, inputs, model, "retrained", None, processes)


def evaluate_model(
    config: ScoredConfig,
    inputs: RunInputs,
    model: PreTrainedModel,
    label: str,
    reference: EvaluationResult | None,
    processes: FabricProcessGroup | None = None,
) -> EvaluationResult:
    """Evaluate a model on the run's data, on tasks of lm-evaluation-harness and by one's own metrics, where asked for.

    Its weights have the type of evaluation.precision meanwhile. `reference` is the retrained model's result, which some
    metrics compare with. `processes` are those that evaluate together; None: this process alone. Raises InputError as
    `cached_evaluate` and `harness_scores`.
    """
    with weights_in(config.evaluation.precision, model):
        model = model.to(one_device(config.trainer) if processes is None else processes.device)
        result = cached_evaluate(
            model,
            inputs.tokenizer,
            inputs.corpus,
            # The harness's scores and one's own metrics are not cached, so they must not enter the cache's key.
            replace(config.evaluation, harness=HarnessConfig(), own_metrics=[]),
            # Scores do not depend on which tokens training supervised, so that must not enter the cache's key either.
            replace(config.prompt, forget_supervised=Supervised.output, retain_supervised=Supervised.output),
            label,
            Path(config.cache_dir),
            reference,
            processes,
        )
        if config.evaluation.harness.tasks and (processes is None or processes.is_writer):
            result.items[harness.ITEMS] = harness.harness_scores(config.evaluation.harness, model, inputs.tokenizer)
        if config.evaluation.own_metrics and (processes is None or processes.is_writer):
            evaluated = EvaluatedModel(model, inputs.tokenizer, inputs.corpus, config.evaluation, config.prompt)
            result.metrics |= measure_own(config.evaluation.own_metrics, evaluated, result)
    return result
