"""Where colours and other escape sequences are printed: on a terminal, and no colours where NO_COLOR is set."""

import io
import re
import sys

import pytest
from rich.console import Console

from unlearning.commands.plan import print_line
from unlearning.commands.stages.clock import StageClock

COLOUR = re.compile(r"\x1b\[[\d;]*(3[0-7]|38|4[0-7]|48|9[0-7]|10[0-7])[\d;]*m")
"""A sequence that sets a colour of letters or of their background; bold and dim letters are no colours."""


class Screen(io.StringIO):
    """A standard output that says whether it is a terminal, and keeps what is printed."""

    def __init__(self, terminal: bool) -> None:
        """A terminal or a pipe."""
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        """Return whether this is a terminal."""
        return self.terminal


@pytest.mark.parametrize(
    ("terminal", "no_color", "coloured", "plain"),
    [(True, "", True, False), (True, "1", False, False), (False, "", False, True), (False, "1", False, True)],
)
def test_colours_are_off_where_nobody_wants_them(
    terminal: bool, no_color: str, coloured: bool, plain: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stage's name has a colour on a terminal alone, and a pipe or a file gets the letters and nothing else."""
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", no_color)
    screen = Screen(terminal)
    monkeypatch.setattr(sys, "stdout", screen)
    with StageClock().stage("load"):
        pass
    printed = screen.getvalue()
    assert bool(COLOUR.search(printed)) == coloured
    assert ("\x1b" not in printed) == plain
    assert re.sub(r"\x1b\[[\d;]*m", "", printed) == "> load\n"


@pytest.mark.parametrize("width", [80, 120])
def test_a_line_of_a_plan_breaks_between_words(width: int) -> None:
    """On a terminal it goes on below its text; in a file it is one line."""
    line = f"memory    {', '.join(f'part {number} 0.{number}' for number in range(20))}"
    lines: dict[bool, list[str]] = {}
    for terminal in (True, False):
        screen = io.StringIO()
        print_line(line, Console(file=screen, width=width, force_terminal=terminal))
        lines[terminal] = screen.getvalue().splitlines()
    assert lines[False] == [f"  {line}"]
    assert max(map(len, lines[True])) <= width
    assert [text[:12] for text in lines[True]] == ["  memory    ", *[" " * 12] * (len(lines[True]) - 1)]
    assert " ".join(text.strip() for text in lines[True]) == line
