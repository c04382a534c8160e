"""Run a command in this process, as a shell would."""

import io
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

from unlearning import cli


@dataclass(frozen=True)
class Ended:
    """The exit code of a command and what it printed."""

    code: int
    out: str
    err: str


@contextmanager
def own_logging() -> Iterator[None]:
    """Put logging back as it was afterwards, because Hydra sets it up for the whole process."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def run_command(name: str, words: list[str], cwd: Path) -> Ended:
    """Run the command `name` of unlearning/cli.py with these words, in the working folder `cwd`."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, own_logging(), redirect_stdout(out), redirect_stderr(err):
        patch.chdir(cwd)
        patch.setattr(sys, "argv", [name, *words])
        try:
            getattr(cli, name)()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        finally:
            GlobalHydra.instance().clear()
            HydraConfig.instance().cfg = None
    return Ended(code, out.getvalue(), err.getvalue())
