"""The command unlearn-probe: ask in many ways whether what a model was made to forget is gone."""

from pathlib import Path

from unlearning.commands.stages.clock import StageClock
from unlearning.commands.stages.ending import show_files
from unlearning.commands.stages.probe import ANSWERS, CSV, add_results, probe_models
from unlearning.commands.stages.probe_measurements import ProbeSettings
from unlearning.commands.stages.probed_models import find_models, probed_settings
from unlearning.config.commands import ProbeCommandConfig
from unlearning.context import RunContext
from unlearning.report.html import write_probe_report
from unlearning.report.probe_part import print_probes
from unlearning.runs.folder import save_provenance

FILES = {
    "report.html": "the probes as one page",
    CSV: "what each model knows, probe by probe",
    ANSWERS: "every answer that was scored",
}


def run(config: ProbeCommandConfig, context: RunContext) -> None:
    """Probe a finished run's model, or any other one; table, figures and a report go to the run folder.

    The results are added to the folder of the run that was probed too, so that its report and comparisons show them.
    Raises InputError for what a user can mend, Interrupted on Ctrl-C.
    """
    clock = StageClock()
    common = probed_settings(config, context.overrides)
    to_probe = find_models(config, common)
    settings = ProbeSettings(common.prompt, config.evaluation, config.trainer, Path(config.cache_dir))
    with clock.stage("probe"):
        results = probe_models(config.probes, to_probe, settings, context.run_dir)
    save_provenance(common, to_probe.corpus.fingerprint, clock.seconds, context)
    if config.run is not None:
        add_results(results, Path(config.run))
    write_probe_report(context.run_dir)
    print_probes(list(results.values()))
    show_files(context.run_dir, FILES)
