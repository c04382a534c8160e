"""How much of a part is done: a bar on a terminal, and a line now and then where there is none."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from threading import Event, Thread

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from unlearning.context import on_main_process
from unlearning.progress.measured import Measured, note

LINE_SECONDS = 30.0
"""Seconds between two lines."""
COLUMNS = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())


class PartProgress:
    """The progress of one part, such as "generation", in items: rows, documents, steps or bytes."""

    def __init__(
        self,
        name: str,
        total: int,
        write: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`write` prints a line; `clock` gives seconds."""
        self.name, self.total, self.done = name, total, 0
        self._write, self._clock = write, clock
        self._started = self._said = clock()

    def advance(self, items: int) -> None:
        """Count so many items more as done."""
        self.done += items

    def tick(self) -> None:
        """Write a line if LINE_SECONDS have gone since the last one, or since the beginning."""
        if self._clock() - self._said >= LINE_SECONDS:
            self._said = self._clock()
            self._write(self.line())

    def line(self) -> str:
        """Return the name, the share done, the rate and the time left."""
        seconds = self._clock() - self._started
        line = f"  {self.name}: {self.done:,} of {self.total:,} ({self.done / max(1, self.total):.0%})"
        if not self.done:
            return f"{line}, {duration(seconds)} gone"
        rate = self.done / seconds
        return f"{line}, {rate:,.3g} a second, {duration((self.total - self.done) / rate)} left"

    def measured(self) -> Measured:
        """Return what was done until now, and how long it took."""
        return Measured(self.name, self.done, self._clock() - self._started)


@contextmanager
def shown_progress(name: str, total: int, done: Callable[[], int] | None = None) -> Iterator[Callable[[int], None]]:
    """Show a part of `total` items, and yield the function that reports how many more of them are done.

    On a terminal there is a bar on standard error, which goes when the part is over; elsewhere a line every
    LINE_SECONDS on standard output, where the names of stages are. Only the first of several processes shows anything.
    With `done` this function is asked once a second how many items are done, and nothing need be reported.
    """
    terminal = Console(stderr=True)
    shown = on_main_process() and total > 0
    lines = shown and not terminal.is_terminal
    bars = Progress(*COLUMNS, console=terminal, transient=True, disable=lines or not shown)
    part = PartProgress(name, total, lambda line: Console().print(line, highlight=False, markup=False, soft_wrap=True))
    task = bars.add_task(name, total=total)

    def advance(items: int) -> None:
        part.advance(items)
        bars.update(task, completed=part.done)

    def tick() -> None:
        if done is not None:
            advance(done() - part.done)
        if lines:
            part.tick()

    with bars, _every_second(tick) if lines or (shown and done) else nullcontext():
        yield advance
    if done is not None:
        part.advance(total - part.done)
    note(part.measured())


@contextmanager
def _every_second(tick: Callable[[], None]) -> Iterator[None]:
    """While open, call `tick` once a second in another thread, so also while one item takes long."""
    over = Event()

    def ticking() -> None:
        while not over.wait(1.0):
            tick()

    thread = Thread(target=ticking, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def duration(seconds: float) -> str:
    """Return seconds as people say them: "40 s", "12 min 5 s", "3 h 20 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
