"""The stage that chooses layers: tracing a run's subject, or reading what an earlier trace chose."""

from pathlib import Path

from lightning_fabric import Fabric
from transformers import PreTrainedModel

from unlearning.commands.subject import Subject
from unlearning.config import (
    CommonConfig,
    Corruption,
    TraceConfig,
    TracedScopeConfig,
    TraceMode,
    UnlearnConfig,
)
from unlearning.context import on_main_process
from unlearning.errors import InputError
from unlearning.mediation.layers import read_layers
from unlearning.mediation.selection import Selection
from unlearning.mediation.trace import LAYERS, Traced, trace
from unlearning.models import anatomy
from unlearning.models.load import load_model
from unlearning.report.selection_table import print_selection
from unlearning.report.trace_figures import write_trace_plots
from unlearning.training.hardware import require_hardware
from unlearning.training.trainer import weights_dtype


def traced_layers(config: UnlearnConfig, subject: Subject, run_dir: Path) -> Selection | None:
    """The layers of the layers file that the scope names, or of a trace made now on the forget set.

    None where the scope does not ask for tracing.
    """
    scope = config.scope
    if not isinstance(scope, TracedScopeConfig):
        return None
    if scope.layers_file is not None:
        return read_layers(Path(scope.layers_file), len(anatomy.layers(subject.model)))
    if not on_main_process():
        # The main process has traced before it started this one.
        return read_layers(run_dir / LAYERS, len(anatomy.layers(subject.model)))
    traced = trace_subject(
        config, config.trace, subject, run_dir, Fabric(accelerator=config.trainer.accelerator, devices=1)
    )
    assert traced is not None
    write_trace_plots(traced.result, run_dir)
    return traced.selection


def trace_subject(
    config: CommonConfig, settings: TraceConfig, subject: Subject, run_dir: Path, fabric: Fabric
) -> Traced | None:
    """Trace with this fabric and print what was found; None on all processes but the first.

    Raises InputError where there is nothing to trace, or no base model that the settings need.
    """
    model = subject.model.to(fabric.device)
    base = _base_model(config, settings, subject)
    traced = trace(
        model,
        subject.tokenizer,
        subject.corpus.forget,
        subject.corpus.retain,
        settings,
        config.prompt,
        run_dir,
        fabric,
        None if base is None else base.to(fabric.device),
    )
    if traced is not None:
        print_selection(traced.selection, traced.result)
    return traced


def trace_summary(selection: Selection) -> dict[str, float]:
    """Numbers of a choice of layers that can be compared over runs."""
    total = next(effects.total for effects in selection.effects if effects.metric is selection.metric)
    return {
        "trace/total_effect_nats": total.mean,
        "trace/layers_chosen": float(len(selection.layers)),
        "trace/share_of_depth": selection.share_of_depth,
        "trace/stability": selection.stability,
    }


def _base_model(config: CommonConfig, settings: TraceConfig, subject: Subject) -> PreTrainedModel | None:
    """The model before it memorised, where tracing compares with it."""
    if settings.mode is not TraceMode.weights and settings.corruption is not Corruption.base_model:
        return None
    path = settings.base_model or subject.retrained_path
    if path is None:
        raise InputError(
            f"trace.mode={settings.mode}, trace.corruption={settings.corruption}: needs trace.base_model, a folder or "
            "repository id of the model before it memorised"
        )
    key = "trace.base_model" if settings.base_model else "model.retrained"
    return load_model(path, config.model, weights_dtype(config.trainer), key)


def one_process_a_device(config: CommonConfig) -> Fabric:
    """For tracing alone: each process has the whole model. InputError for devices that are not there."""
    require_hardware(config.trainer)
    trainer = config.trainer
    return Fabric(
        accelerator=trainer.accelerator,
        devices=trainer.devices if trainer.devices == "auto" else int(trainer.devices),
        num_nodes=trainer.nodes,
        strategy="auto" if trainer.strategy == "auto" else "ddp",
    )
