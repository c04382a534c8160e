"""The stage that scores: the model at hand, and the two that it is held against."""

from dataclasses import replace
from pathlib import Path

from transformers import PreTrainedModel

from unlearning.commands.subject import Subject
from unlearning.config import (
    EvaluateConfig,
    MemoriseConfig,
    Supervised,
    UnlearnConfig,
)
from unlearning.config.commands import MergeConfig
from unlearning.config.evaluation import HarnessConfig
from unlearning.evaluation import harness
from unlearning.evaluation.cache import cached_evaluate
from unlearning.evaluation.distribution import FabricTeam
from unlearning.evaluation.result import EvaluationResult
from unlearning.models.load import load_model
from unlearning.training.hardware import one_device
from unlearning.training.trainer import weights_dtype


def evaluate_references(config: UnlearnConfig | MergeConfig, subject: Subject) -> dict[str, EvaluationResult]:
    """The target's evaluation, and the retrained model's where there is one. Raises as `evaluate_model`."""
    retrained = evaluate_retrained(config, subject)
    target = {"target": evaluate_model(config, subject, subject.model, "target", retrained)}
    return target if retrained is None else target | {"retrained": retrained}


def evaluate_retrained(
    config: UnlearnConfig | MergeConfig | EvaluateConfig, subject: Subject, team: FabricTeam | None = None
) -> EvaluationResult | None:
    """The evaluation of the model that never saw the forget set, where there is one."""
    if subject.retrained_path is None:
        return None
    model = load_model(subject.retrained_path, config.model, weights_dtype(config.trainer), "model.retrained")
    return evaluate_model(config, subject, model, "retrained", None, team)


def evaluate_model(
    config: UnlearnConfig | EvaluateConfig | MemoriseConfig | MergeConfig,
    subject: Subject,
    model: PreTrainedModel,
    label: str,
    reference: EvaluationResult | None,
    team: FabricTeam | None = None,
) -> EvaluationResult:
    """`cached_evaluate`, and tasks of lm-evaluation-harness where the settings name some.

    `team`: the processes that evaluate together. Raises InputError as `cached_evaluate` and `harness_scores`.
    """
    model = model.to(one_device(config.trainer) if team is None else team.device)
    result = cached_evaluate(
        model,
        subject.tokenizer,
        subject.corpus,
        replace(config.evaluation, harness=HarnessConfig()),  # its tasks are not kept
        # Which tokens training supervised does not matter to a score; the cache must not think so.
        replace(config.prompt, forget_supervised=Supervised.output, retain_supervised=Supervised.output),
        label,
        Path(config.cache_dir),
        reference,
        team,
    )
    if config.evaluation.harness.tasks and (team is None or team.writes):
        result.items[harness.ITEMS] = harness.harness_scores(config.evaluation.harness, model, subject.tokenizer)
    return result
