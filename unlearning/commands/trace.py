"""The command unlearn-trace: find the layers that hold the facts, on all devices."""

from unlearning.commands.stages.architecture import record_architecture
from unlearning.commands.stages.clock import StageClock
from unlearning.commands.stages.devices import one_process_a_device
from unlearning.commands.stages.ending import show_files
from unlearning.commands.stages.first_checks import check_tracing
from unlearning.commands.stages.known import read_inputs
from unlearning.commands.stages.load import load_inputs
from unlearning.commands.stages.trace import trace_summary, trace_target
from unlearning.config.commands import TraceCommandConfig
from unlearning.context import RunContext
from unlearning.mediation.trace import LAYERS
from unlearning.report.html import write_trace_report
from unlearning.report.trace_figures import write_trace_plots
from unlearning.runs.folder import save_provenance
from unlearning.runs.tracking import finish, make_loggers

FILES = {
    "report.html": "the trace as one page",
    LAYERS: "the layers that were chosen, for scope.layers_file",
    "effects.parquet": "the effects of every fact, state and draw",
}


def run(config: TraceCommandConfig, context: RunContext) -> None:
    """Trace the facts that a model knows; layers.json, all effects, figures and a report go to the run folder.

    Raises InputError for what a user can mend.
    """
    clock = StageClock()
    fabric = one_process_a_device(config)
    fabric.launch()
    known = read_inputs(config)
    check_tracing(config, config.trace, known)
    with clock.stage("load"):
        inputs = load_inputs(config, known)
        record_architecture(inputs.model, context.run_dir)
    with clock.stage("trace"):
        traced = trace_target(config, config.trace, inputs, context.run_dir, fabric)
    if traced is None:
        return
    save_provenance(config, inputs.corpus.fingerprint, clock.seconds, context)
    with clock.stage("report"):
        loggers = make_loggers(config.logger, f"{config.name}-{config.seed}", "trace", context)
        plots = write_trace_plots(traced.result, context.run_dir)
        write_trace_report(context.run_dir)
        finish(loggers, trace_summary(traced.selection), plots)
    show_files(context.run_dir, FILES)
