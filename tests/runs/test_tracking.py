"""Trackers log what a run found, and no failure of theirs stops the run."""

import csv
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from matplotlib.figure import Figure
from pytorch_lightning.loggers import CSVLogger

from tests.processes import exit_code, start
from tests.wandb_records import offline_records
from unlearning.config.logger import LoggerConfig, LoggerKind
from unlearning.context import RunContext
from unlearning.evaluation.result import Generation
from unlearning.runs.tracking import LONGEST_TAG, GuardedLogger, finish, make_loggers


def track_offline(folder: Path) -> None:
    """Track a run of three steps with W&B's offline files."""
    Figure(figsize=(1, 1)).savefig(folder / "plot.png")
    context = RunContext(
        folder, "group", choices={"method": "npo"}, tuned=["x" * 99], resolved={"path": "/home/alice/x"}
    )
    loggers = make_loggers(LoggerConfig(kind=LoggerKind.wandb_offline), "name", "unlearn", context)
    print("printed by the run")
    for step in range(3):
        loggers[0].log_metrics({"train/loss": 1.5 + step}, step)
    answer = Generation("id", "forget", "Task1", "sc", "in", "out", "made", 0.5)
    (folder / "model").mkdir()
    (folder / "model" / "weights.safetensors").write_bytes(b"weights")
    finish(loggers, {"final": 0.625, "utility": None}, [folder / "plot.png"], [answer], folder / "model")


def _make(kind: LoggerKind, folder: Path) -> list[Any]:
    """Return the loggers of a run in this folder."""
    return list(make_loggers(LoggerConfig(kind=kind), "name", "unlearn", RunContext(folder)))


def test_no_tracking(tmp_path: Path) -> None:
    """Without tracking there is no logger and no file."""
    assert _make(LoggerKind.none, tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_csv(tmp_path: Path) -> None:
    """The file has a line for each step, and the final numbers last."""
    loggers = _make(LoggerKind.csv, tmp_path)
    for step in range(2):
        loggers[0].log_metrics({"train/loss": 0.5 + step}, step)
    finish(loggers, {"final": 0.625, "utility": None})
    with (tmp_path / "csv" / "version_0" / "metrics.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    assert [row["train/loss"] for row in rows] == ["0.5", "1.5", ""]
    assert rows[-1]["final/final"] == "0.625"


def test_a_failing_logger_costs_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A logger that fails at each step is reported once."""

    class Full(CSVLogger):
        def log_metrics(self, *_: Any) -> None:
            raise OSError(28, "No space left on device")

    logger = GuardedLogger(Full(tmp_path))
    for step in range(3):
        logger.log_metrics({"loss": 1.0}, step)
    logger.save()
    finish([logger], {"final": 1.0})
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert "No space left on device" in printed


def test_wandb_that_cannot_start_costs_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that cannot be reached is reported in one line, and the run has no logger."""

    def init(**_: Any) -> None:
        raise RuntimeError("unreachable\nserver")

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=init, Settings=dict))
    assert _make(LoggerKind.wandb, tmp_path) == []
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert "unreachable server" in printed


def test_wandb_offline_file_holds_the_metrics_and_nothing_private(tmp_path: Path) -> None:
    """The file has curves, summary, plots, answers and weights, and no name of a home folder."""
    assert exit_code(start(track_offline, tmp_path, folder=tmp_path)) == 0, (tmp_path / "process.err").read_text()
    assert (tmp_path / "process.out").read_text() == "printed by the run\n"
    assert "wandb" not in (tmp_path / "process.err").read_text()
    (path,) = (tmp_path / "wandb").glob("offline-run-*/run-*.wandb")
    logged: dict[str, list[str]] = {}
    summary: dict[str, str] = {}
    artifacts: dict[str, list[str]] = {}
    tags: list[str] = []
    for record in offline_records(path):
        if record.artifact.type:
            artifacts[record.artifact.type] = [entry.path for entry in record.artifact.manifest.contents]
        tags += record.run.tags
        for item in record.history.item:
            logged.setdefault(item.key or "/".join(item.nested_key), []).append(item.value_json)
        summary |= {item.key or "/".join(item.nested_key): item.value_json for item in record.summary.update}
    assert [float(value) for value in logged["train/loss"]] == [1.5, 2.5, 3.5]
    assert tags == ["method=npo", "tuned=" + "x" * (LONGEST_TAG - len("tuned="))]
    assert summary["final"] == "0.625"
    assert "utility" not in summary
    assert any(key.startswith("plots/plot") for key in logged)
    assert any(key.startswith("generations") for key in logged)
    assert artifacts["model"] == ["weights.safetensors"]
    content = path.read_bytes()
    assert b"alice" not in content
    assert b"printed by the run" not in content
    assert str(Path.home() / ".").encode() not in content.replace(str(tmp_path).encode(), b"")
    assert not list((tmp_path / "wandb").rglob("*.patch"))
