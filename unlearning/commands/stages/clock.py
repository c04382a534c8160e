"""How long the stages of a run take."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console

from unlearning.context import on_main_process


@dataclass
class StageClock:
    """Announces each stage of a run in the terminal and measures its time."""

    seconds: dict[str, float] = field(default_factory=dict)
    """Wall-clock seconds of each stage that has ended."""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Announce the stage `name`, and record how long the block takes."""
        if on_main_process():
            Console().print(f"[bold cyan]>[/bold cyan] {name}")
        start = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - start, 3)
