"""What is refused before any weights are read: all that settings, shapes of models, tokenizer and rows tell.

Each function has what its command will do later, in the same order, and changes no model.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path

from rich.console import Console
from transformers import PreTrainedModel

from unlearning.commands.stages.known import KnownInputs, read_skeleton
from unlearning.commands.stages.load_pair import check_rows
from unlearning.commands.stages.planning import known_layers, memory_fit
from unlearning.commands.stages.trace import needs_base_model
from unlearning.config.build import build
from unlearning.config.commands import CommonConfig, MemoriseConfig, ScoredConfig, UnlearnConfig
from unlearning.config.model import Quantization
from unlearning.config.probe import ProbeConfig
from unlearning.config.scope import TracedScopeConfig
from unlearning.config.trace import TraceConfig
from unlearning.context import on_main_process
from unlearning.evaluation.evaluated_model import EvaluatedModel
from unlearning.evaluation.first_checks import require_lengths
from unlearning.evaluation.own_metrics import own_metrics
from unlearning.mediation.first_checks import require_traceable
from unlearning.models.capabilities import capabilities
from unlearning.plan.run_plan import RunPlan
from unlearning.probes import first_checks as probes
from unlearning.scopes.scope import Scope
from unlearning.training.checkpoint import CHECKPOINT
from unlearning.training.disk_space import require_disk_space, require_free
from unlearning.training.planned_training import require_trainable_scope


def check_unlearning(config: UnlearnConfig, known: KnownInputs, run_dir: Path) -> RunPlan | None:
    """Raise InputError for what `unlearn` cannot do. Returns as `check_training`, which comes again after a trace."""
    check_scoring(config, known, with_retrained=config.evaluation.references)
    check_probes(config.probes, known.skeleton)
    return check_method(config, known, run_dir)


def check_method(config: UnlearnConfig, known: KnownInputs, run_dir: Path) -> RunPlan | None:
    """Raise InputError where layers cannot be traced, or nothing can be trained. Returns as `check_training`."""
    if isinstance(config.scope, TracedScopeConfig) and config.scope.layers_file is None:
        check_tracing(config, config.trace, known)
    return check_training(config, known, known_layers(config, known), run_dir)


def check_training(
    config: UnlearnConfig, known: KnownInputs, layers: Sequence[int] | None, run_dir: Path
) -> RunPlan | None:
    """Raise InputError where nothing can be trained: for scope, objective, schedule, tables, disk or memory.

    `layers` are those of a trace; None: there is none, or it comes later. Returns the plan of the run, without
    activations; None before a trace. Prints a line where the memory will hardly be enough.
    """
    fit = memory_fit(config, known, layers)
    if isinstance(config.scope, TracedScopeConfig) and layers is None:
        require_trainable_scope(config, known.skeleton)
        return None
    plan = fit.least
    plan.reference.require_at_most(config.trainer.reference_gib)
    # A run that goes on, or whose weights are in 4 bits, asks for disk space once it trains.
    whole = config.model.quantization is Quantization.none
    if on_main_process() and whole and not (run_dir / CHECKPOINT).exists():
        require_free(run_dir, plan.disk)
    unfit = fit.line()
    if unfit is not None and on_main_process():
        Console().print(f"  {unfit}", highlight=False, markup=False, soft_wrap=True)
    return plan


def check_memorising(config: MemoriseConfig, known: KnownInputs, run_dir: Path) -> None:
    """Raise InputError for what `unlearn-memorise` cannot do."""
    check_scoring(config, known, with_retrained=False)
    scope: Scope = build(config.scope)
    scoped = scope.apply(deepcopy(known.skeleton), None)
    if on_main_process():
        require_disk_space(run_dir, scoped, keep_best=False)


def check_scoring(config: ScoredConfig, known: KnownInputs, with_retrained: bool) -> None:
    """Raise InputError for metrics, models, rows and other texts that cannot be scored."""
    own_metrics(config.evaluation.own_metrics)
    models = [known.skeleton] if known.retrained is None or not with_retrained else [known.skeleton, known.retrained]
    check_rows(known.corpus, models, known.tokenizer, config.prompt)
    for model in models:
        capabilities(model)
        require_lengths(EvaluatedModel(model, known.tokenizer, known.corpus, config.evaluation, config.prompt))


def check_tracing(config: CommonConfig, settings: TraceConfig, known: KnownInputs) -> None:
    """Raise InputError where the model, the base model or the rows cannot be traced."""
    capabilities(known.skeleton)
    base = None
    if needs_base_model(settings, known.retrained is not None):
        given = settings.base_model
        base = known.retrained if given is None else read_skeleton(config, given, "trace.base_model")
    corpus = known.corpus
    require_traceable(known.skeleton, known.tokenizer, corpus.forget, corpus.retain, settings, config.prompt, base)


def check_probes(configs: Mapping[str, ProbeConfig], model: PreTrainedModel) -> None:
    """Raise InputError for a probe that names a layer or a module that the model lacks."""
    for config in configs.values():
        probes.require_fits(build(config), model)
