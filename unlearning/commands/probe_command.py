"""The command unlearn-probe: a finished run's model, or any other one."""

from pathlib import Path

from rich.console import Console

from unlearning.commands.probe_stage import Circumstances, probe_models, share_lines
from unlearning.commands.probe_subject import find_suspects, settings_of
from unlearning.config.commands import ProbeCommandConfig
from unlearning.context import RunContext
from unlearning.report.html import write_probe_report
from unlearning.report.probe_table import print_probes


def run_probe(config: ProbeCommandConfig, context: RunContext) -> None:
    """Ask in many ways whether what a model has forgotten is gone; table, figures and a report go to the run folder.

    The table goes into the folder of the run that was probed too, so that its report and comparisons show it.
    Raises InputError for what a user can mend, Interrupted on Ctrl-C.
    """
    settings = settings_of(config, context.overrides)
    suspects = find_suspects(config, settings)
    how = Circumstances(settings.prompt, config.evaluation, config.trainer, Path(config.cache_dir))
    lines = probe_models(config.probes, suspects, how, context.run_dir)
    if config.run is not None:
        share_lines(lines, Path(config.run))
    report = write_probe_report(context.run_dir)
    print_probes(list(lines.values()))
    Console().print(f"  {report}", highlight=False)
