"""What a run knows about how it was started."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class RunContext:
    """The folder of a run, and what its command line and its configuration said."""

    run_dir: Path
    group: str | None = None
    """Name of the multirun that the run belongs to; None for a single run."""
    overrides: Sequence[str] = ()
    """The words of the command line, Hydra's own left out."""
    choices: Mapping[str, str] = field(default_factory=dict)
    """The option that was chosen in each configuration group."""
    tuned: Sequence[str] = ()
    """Names of the files of conf/tuned that joined."""
    resolved: Mapping[str, Any] = field(default_factory=dict)
    """The whole configuration as plain data."""
    code: Mapping[str, Any] = field(default_factory=dict)
    """What code runs, see `runs.code_state`; empty where a test makes a context by itself."""
    started: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def tags(self) -> list[str]:
        """Return one tag for each choice and for each tuned file, such as "method=npo" and "tuned=sandbox_lora"."""
        choices = [f"{group}={option}" for group, option in self.choices.items()]
        return [*choices, *(f"tuned={name}" for name in self.tuned)]


def on_main_process() -> bool:
    """Return whether this process is the one that writes files.

    Lightning starts the processes for further devices with their rank in LOCAL_RANK.
    """
    return int(os.environ.get("LOCAL_RANK", "0")) == 0 and int(os.environ.get("NODE_RANK", "0")) == 0
