"""Training in real processes that are really killed.

By default, `tests/commands/test_interruptions.py` kills one whole command.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

ROOT = Path(__file__).parent.parent.parent


def result(path: Path) -> str:
    """Return what the process that finished recorded of the run."""
    with safe_open(path, framework="pt") as file:
        found: str = file.metadata()["result"]
    return found


@pytest.mark.exhaustive
@pytest.mark.parametrize("kills", [5, 40])
def test_a_run_that_is_killed_again_and_again_is_the_same_run(tmp_path: Path, kills: int) -> None:
    """SIGKILL comes at any moment: between steps, in a check, or when a file is written, in the background too.

    Weights to the last bit (those of the best check, in the middle), every line of the curve and of the checks, and
    nothing left behind but what an uninterrupted run leaves.
    """
    words = [sys.executable, "-m", "tests.training.killed", str(tmp_path), "0", str(kills)]
    ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout.splitlines()[-1])
    assert told["codes"] == [0, 0], ended.stderr
    assert told["kills"] == kills
    assert len(set(told["lengths"])) > kills / 4  # spread over the run
    whole, cut = (load_file(tmp_path / f"{name}.safetensors") for name in ("whole", "cut"))
    assert whole.keys() == cut.keys()
    assert all(torch.equal(whole[name], cut[name]) for name in whole)
    assert result(tmp_path / "whole.safetensors") == result(tmp_path / "cut.safetensors")
    assert 3 < json.loads(result(tmp_path / "cut.safetensors"))["best_step"] < 90
    files = sorted(path.name for path in (tmp_path / "whole").iterdir())
    assert sorted(path.name for path in (tmp_path / "cut").iterdir()) == files
    for name in ("loss_curve.csv", "checks.csv"):
        assert (tmp_path / "cut" / name).read_text() == (tmp_path / "whole" / name).read_text()
