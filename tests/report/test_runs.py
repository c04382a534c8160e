"""Finding and reading run folders."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from unlearning.errors import InputError
from unlearning.report.details import read_curve, read_evaluation, read_tracing
from unlearning.report.runs import find_runs, read_run


def test_runs_are_found_at_any_depth_in_order(runs_dir: Path) -> None:
    runs = find_runs(runs_dir)
    assert [run.place for run in runs] == [
        "chunked_lora",
        "failed",
        "grad_ascent",
        "layer_freeze/seed0",
        "layer_freeze/seed1",
        "layer_freeze/seed2",
    ]
    assert [run.seed for run in runs[3:]] == [0, 1, 2]
    assert (runs[1].state, runs[1].error, runs[1].resume) == (
        "failed",
        "out of memory [2 GiB]",
        "unlearn method=grad_ascent hydra.run.dir=failed",
    )


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("status.json", "{", "status.json"),
        ("config.yaml", "a: [", "config.yaml"),
        ("config.yaml", "- 1", "must be a mapping"),
        ("metrics.json", "[]", "must be a mapping"),
        ("metrics.json", "{}", "'unlearned'"),
        ("metrics.json", None, "No such file"),
    ],
)
def test_a_broken_run_is_named_in_one_line_and_the_others_are_read(
    runs_dir: Path, capsys: pytest.CaptureFixture[str], name: str, content: str | None, reason: str
) -> None:
    broken = runs_dir / "chunked_lora" / name
    broken.unlink() if content is None else broken.write_text(content)
    assert len(find_runs(runs_dir)) == 5
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert reason in printed
    assert "1 of 6" in printed


@pytest.mark.parametrize("make", [True, False], ids=["empty", "absent"])
def test_no_runs_is_one_line(tmp_path: Path, make: bool) -> None:
    folder = tmp_path / "none"
    if make:
        folder.mkdir()
    with pytest.raises(InputError, match=r"runs=.*none: no ") as caught:
        find_runs(folder)
    assert "\n" not in str(caught.value)


def test_folders_of_other_commands_are_passed_over(runs_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = runs_dir / "memorised"
    other.mkdir()
    (other / "config.yaml").write_text("name: memorised\n")
    (other / "status.json").write_text('{"state": "finished"}')
    (other / "metrics.json").write_text('{"memorised": {}}')
    assert "memorised" not in [run.place for run in find_runs(runs_dir)]
    assert capsys.readouterr().err == ""


def test_nan_counts_as_missing(tmp_path: Path, write_run: Callable[..., Path]) -> None:
    folder = write_run(tmp_path / "run", documents=2)
    metrics = json.loads((folder / "metrics.json").read_text())
    metrics["unlearned"]["utility"] = float("nan")
    (folder / "metrics.json").write_text(json.dumps(metrics))
    assert read_run(folder).metrics["utility"] is None


def test_details_may_be_missing(tmp_path: Path, write_run: Callable[..., Path]) -> None:
    folder = write_run(tmp_path / "run", documents=2)
    assert read_tracing(folder) is not None
    for name in ("layers.json", "loss_curve.csv", "evaluation/retrained.json"):
        (folder / name).write_text("{}")
    assert read_curve(folder) is None
    assert read_tracing(folder) is None
    assert read_evaluation(folder, "retrained") is None


def test_names_in_the_config_are_those_of_the_command_line(tmp_path: Path, write_run: Callable[..., Path]) -> None:
    config = read_run(write_run(tmp_path / "run", documents=2)).config
    assert config["data"]["_target_"] == "unlearning.sandbox.reader.SandboxReader"
    assert config["optimizer"]["decay"] == "linear"
    assert (config["scope"]["modules"], config["trace"]["rule"]) == (["mlp"], "coverage")
