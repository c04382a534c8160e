"""Runs a command in this process, as a shell would."""

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

from unlearning import cli


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


def run_command(
    name: str,
    arguments: list[str],
    cwd: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Ended:
    """`name` is unlearn, memorise, trace, evaluate or report; the working folder is `cwd`."""
    monkeypatch.chdir(cwd)
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    capsys.readouterr()
    code = 0
    try:
        getattr(cli, name)()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        GlobalHydra.instance().clear()
        HydraConfig.instance().cfg = None
    printed = capsys.readouterr()
    return Ended(code, printed.out, printed.err)
