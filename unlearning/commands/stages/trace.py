"""The stage that chooses layers: it traces the target model, or reads what an earlier trace chose."""

from pathlib import Path

from lightning_fabric import Fabric
from rich.console import Console
from transformers import PreTrainedModel

from unlearning.commands.stages.load import RunInputs
from unlearning.config.commands import CommonConfig, UnlearnConfig
from unlearning.config.scope import TracedScopeConfig
from unlearning.config.trace import Corruption, TraceConfig, TracedSplit, TraceMode
from unlearning.context import on_main_process
from unlearning.data.rows import Corpus
from unlearning.errors import InputError
from unlearning.mediation.facts import subject_counts
from unlearning.mediation.layers import read_layers
from unlearning.mediation.selection import Selection
from unlearning.mediation.trace import LAYERS, TraceOutcome, trace
from unlearning.mediation.tracing import load_tracing
from unlearning.models import anatomy
from unlearning.models.load import load_model
from unlearning.report.trace_figures import write_trace_plots
from unlearning.report.trace_part import print_selection
from unlearning.training.trainer import weights_dtype


def traced_layers(config: UnlearnConfig, inputs: RunInputs, run_dir: Path) -> Selection | None:
    """Return the layers that the scope's layers file names, or those that a trace of the forget set chooses now.

    None where the scope does not ask for traced layers.
    """
    scope = config.scope
    if not isinstance(scope, TracedScopeConfig):
        return None
    if scope.layers_file is not None:
        return read_layers(Path(scope.layers_file), len(anatomy.layers(inputs.model)))
    if not on_main_process():
        # The main process traced before it started this process.
        return read_layers(run_dir / LAYERS, len(anatomy.layers(inputs.model)))
    fabric = Fabric(accelerator=config.trainer.accelerator, devices=1)
    traced = trace_target(config, config.trace, inputs, run_dir, fabric)
    assert traced is not None
    write_trace_plots(traced.result, run_dir)
    return traced.selection


def trace_target(
    config: CommonConfig, settings: TraceConfig, inputs: RunInputs, run_dir: Path, fabric: Fabric
) -> TraceOutcome | None:
    """Trace the target model with all of the fabric's processes and print the layers that were chosen.

    Returns None on every process but the first. Raises InputError where there is nothing to trace, or where the
    settings need a base model and there is none.
    """
    if fabric.is_global_zero:
        _print_subjects(settings, inputs.corpus)
    base = _base_model(config, settings, inputs)
    model = inputs.model.to(fabric.device)
    traced = trace(
        model,
        inputs.tokenizer,
        inputs.corpus.forget,
        inputs.corpus.retain,
        settings,
        config.prompt,
        run_dir,
        fabric,
        None if base is None else base.to(fabric.device),
    )
    if traced is not None:
        print_selection(load_tracing(run_dir))
    return traced


def _print_subjects(settings: TraceConfig, corpus: Corpus) -> None:
    """Print how the subjects of own rows were found; those of official rows are all found by the official templates."""
    rows = corpus.forget if settings.split is TracedSplit.forget else corpus.retain
    if any(row.own for row in rows):
        Console().print(f"  {settings.split}: {subject_counts(rows)}", highlight=False, markup=False)


def trace_summary(selection: Selection) -> dict[str, float]:
    """Return numbers of a choice of layers that can be compared between runs."""
    total = next(effects.total for effects in selection.effects if effects.metric is selection.metric)
    return {
        "trace/total_effect_nats": total.mean,
        "trace/layers_chosen": float(len(selection.layers)),
        "trace/share_of_depth": selection.share_of_depth,
        "trace/stability": selection.stability,
    }


def needs_base_model(settings: TraceConfig, has_retrained: bool) -> bool:
    """Return whether tracing compares with the model as it was before it memorised.

    Raises InputError where it does, and the settings name none, and there is no retrained model in its place.
    """
    needed = settings.mode is TraceMode.weights or settings.corruption is Corruption.base_model
    if needed and settings.base_model is None and not has_retrained:
        raise InputError(
            f"trace.mode={settings.mode}, trace.corruption={settings.corruption}: needs trace.base_model, a folder or "
            "repository id of the model before it memorised"
        )
    return needed


def _base_model(config: CommonConfig, settings: TraceConfig, inputs: RunInputs) -> PreTrainedModel | None:
    """Load the model as it was before it memorised; None where tracing does not compare with it."""
    path = settings.base_model or inputs.retrained_path
    if not needs_base_model(settings, inputs.retrained_path is not None) or path is None:
        return None
    key = "trace.base_model" if settings.base_model else "model.retrained"
    return load_model(path, config.model, weights_dtype(config.trainer), key)
