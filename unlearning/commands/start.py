"""How a command starts: from its composed configuration to its run. The command line and `unlearning.run` share it."""

import logging
import warnings
from importlib import import_module
from pathlib import Path

from hydra.conf import HydraConf
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from unlearning.config.settings import settings_of
from unlearning.context import RunContext
from unlearning.runs.code_state import code_state

NOT_A_CHOICE = ("hydra", "schema", "tuned")
"""Groups of conf/ that say nothing about a run begin with these words. `RunContext.tuned` names the tuned files."""


def start(name: str, cfg: DictConfig, context: RunContext) -> None:
    """Check the settings of the command `name`, then do what it does.

    A value that is out of its range is refused before anything slow is imported. Raises InputError for what a user can
    mend, Interrupted on Ctrl-C.
    """
    settings = settings_of(cfg)
    quieten_libraries()
    import_module(f"unlearning.commands.{name}").run(settings, context)


def run_context(cfg: DictConfig, hydra_settings: HydraConf, run_dir: Path) -> RunContext:
    """Return what a run knows about how it was started."""
    multirun = hydra_settings.mode == RunMode.MULTIRUN
    return RunContext(
        run_dir=run_dir,
        group=Path(hydra_settings.sweep.dir).name if multirun else None,
        overrides=list(hydra_settings.overrides.task),
        choices={
            group: str(option)
            for group, option in hydra_settings.runtime.choices.items()
            if option is not None and not group.startswith(NOT_A_CHOICE)
        },
        tuned=list(cfg.tuned.files) if "tuned" in cfg else [],
        resolved=OmegaConf.to_container(cfg, resolve=True, enum_to_str=True),  # type: ignore[arg-type]
        code=code_state(),
    )


def quieten_libraries() -> None:
    """Let libraries that announce themselves say only what went wrong."""
    for noisy in ("pytorch_lightning", "lightning.pytorch", "transformers", "httpx"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    for message in (".*LeafSpec.*", ".*is_gradient_checkpointing.*"):
        warnings.filterwarnings("ignore", message=message)
