"""The plan of a run from its settings and from what is known without weights; and the rates that a run leaves."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from unlearning.commands.stages.known import KnownInputs
from unlearning.config.commands import UnlearnConfig
from unlearning.config.scope import TracedScopeConfig
from unlearning.evaluation.evaluated_model import EvaluatedModel
from unlearning.mediation.layers import read_layers
from unlearning.models import anatomy
from unlearning.plan.fit import MemoryFit
from unlearning.plan.machine import Machine, this_machine
from unlearning.plan.rates import RateFile, measured_rates, rate_file
from unlearning.plan.run_plan import RunPlan
from unlearning.plan.work import Work, scoring_work, training_work
from unlearning.progress.measured import Measured
from unlearning.training.callbacks import STEPS
from unlearning.training.planned_training import plan_training
from unlearning.training.trainer import resolve_precision


def known_layers(config: UnlearnConfig, known: KnownInputs) -> Sequence[int] | None:
    """Return the layers of the scope's layers file; None where the scope has none."""
    if not isinstance(config.scope, TracedScopeConfig) or config.scope.layers_file is None:
        return None
    return read_layers(Path(config.scope.layers_file), len(anatomy.layers(known.skeleton))).layers


def memory_fit(config: UnlearnConfig, known: KnownInputs, layers: Sequence[int] | None) -> MemoryFit:
    """Return the comparison of a run with this machine's memory.

    Raises InputError for rows that cannot be encoded, and for sets of which the schedule makes no steps.
    """
    assert isinstance(known.tokenizer.pad_token_id, int)
    planned = plan_training(config, known.corpus, known.tokenizer)
    pad, machine = known.tokenizer.pad_token_id, this_machine(config.trainer)
    return MemoryFit(config, planned, known.skeleton, pad, layers, machine)


def stage_work(config: UnlearnConfig, known: KnownInputs, plan: RunPlan) -> dict[str, Mapping[str, Work]]:
    """Return the work of the stages that can be planned, each by part."""
    scoring = scoring_work(plan.counts, _evaluated(config, known))
    stages: dict[str, Mapping[str, Work]] = {"unlearn": {STEPS: _training(config, plan)}}
    if config.evaluation.references:
        stages["evaluate the target"] = scoring
        if known.retrained is not None:
            stages["evaluate the retrained model"] = scoring
    stages["evaluate the unlearned model"] = scoring
    return stages


def keep_rates(config: UnlearnConfig, known: KnownInputs, plan: RunPlan, parts: Sequence[Measured]) -> None:
    """Write how fast the parts of a run were into the cache, for later plans; a cache that is full is left as it is."""
    work = {STEPS: _training(config, plan), **scoring_work(plan.counts, _evaluated(config, known))}
    with suppress(OSError):
        planned_rates(config, plan, this_machine(config.trainer)).add(measured_rates(parts, work))


def planned_rates(config: UnlearnConfig, plan: RunPlan, machine: Machine) -> RateFile:
    """Return the file with the rates of this machine for this shape of a model."""
    return rate_file(Path(config.cache_dir), machine, resolve_precision(config.trainer), plan.counts)


def _training(config: UnlearnConfig, plan: RunPlan) -> Work:
    rows, checkpointing = plan.planned.rows, config.trainer.gradient_checkpointing
    return training_work(plan.counts, plan.steps, rows, plan.layout, checkpointing)


def _evaluated(config: UnlearnConfig, known: KnownInputs) -> EvaluatedModel:
    return EvaluatedModel(known.skeleton, known.tokenizer, known.corpus, config.evaluation, config.prompt)
