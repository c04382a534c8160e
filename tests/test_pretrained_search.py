"""Tests of experiments/pretrained_search/run.py without a model: what is searched, and for how long."""

import signal
import sys
from pathlib import Path
from typing import ClassVar

import pytest

from experiments.pretrained_search import run
from tests.test_conf import settings


@pytest.mark.parametrize("method", run.METHODS)
def test_each_search_composes(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All supervise whole documents; a rate is given as a range."""
    monkeypatch.setenv("UNLEARNING_DATA", "/official")
    words = [f"model={run.MODEL}", "model.path=m", *run.DATA, *run.SCORED, *run.words_of(method)]
    (rate,) = [word for word in words if word.startswith("optimizer.lr=")]
    assert rate.startswith("optimizer.lr=tag(log, interval(")
    ceiling = ["objective.forget_ceiling_nats=4"] if run.TOKENS_TURN[0] in words else []
    made = settings("unlearn", *(word for word in words if word != rate), *ceiling)
    assert made.prompt.forget_supervised.value == made.prompt.retain_supervised.value == "document"
    assert made.stopping.unmoved_check == 2
    assert made.trainer.precision == "bf16-mixed"


class Endless:
    """A search that ends when it is told to."""

    started: ClassVar[list[list[str]]] = []

    def __init__(self, command: list[str], env: dict[str, str]) -> None:
        assert env["OMP_NUM_THREADS"] == "1"
        self.started.append([str(word) for word in command[1:]])
        self.told: list[int] = []
        self.returncode: int | None = None

    def wait(self, seconds: float | None = None) -> None:
        """Run until the time is over, or end once told to."""
        if seconds is not None:
            raise run.subprocess.TimeoutExpired("unlearn", seconds)
        assert self.told == [signal.SIGTERM]
        self.returncode = 130

    def terminate(self) -> None:
        """Tell it to end."""
        self.told.append(signal.SIGTERM)


def test_a_search_has_its_time_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What an earlier call has used counts: the rest is waited for, and a search without a rest is not begun."""
    Endless.started = []
    clock = iter([100.0, 160.0, 0.0, 400.0])
    monkeypatch.setattr(run.subprocess, "Popen", Endless)
    monkeypatch.setattr(run.time, "monotonic", lambda: next(clock))
    run.search(["search=npo"], tmp_path / "npo", 450.0)
    assert (tmp_path / "npo" / "seconds.txt").read_text() == "60.0\n"
    run.search(["search=npo"], tmp_path / "npo", 450.0)
    assert (tmp_path / "npo" / "seconds.txt").read_text() == "460.0\n"
    run.search(["search=npo"], tmp_path / "npo", 450.0)
    assert capsys.readouterr().out.splitlines() == [
        "npo: 60 of 450 seconds, exit code 130",
        "npo: 460 of 450 seconds, exit code 130",
    ]
    assert Endless.started == [["-m", "search=npo", f"hydra.sweep.dir={tmp_path / 'npo'}"]] * 2


def test_one_command_makes_the_target_and_all_searches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights come first, where they are not there; then the target; then a search for each method."""
    called: list[list[str]] = []
    monkeypatch.setattr(run, "FETCHED", tmp_path / "weights")
    monkeypatch.setattr(run.subprocess, "run", lambda words, check: called.append([*words[1:]]))  # noqa: ARG005
    monkeypatch.setattr(run, "finish", lambda command, words, folder: called.append([command, str(folder)]))  # noqa: ARG005
    monkeypatch.setattr(run, "search", lambda words, folder, seconds: called.append([words[5], folder.name, seconds]))
    monkeypatch.setattr(sys, "argv", ["run", str(tmp_path), "--minutes", "2"])
    run.main()
    assert called[0] == ["-m", "experiments.real_models.fetch", "smollm2_135m"]
    assert called[1] == ["unlearn-memorise", str(tmp_path / "target")]
    assert [found[1:] for found in called[2:]] == [[method, 120.0] for method in run.METHODS]
