"""experiments/semeval_leaderboard/: each row has a configuration and, but for some, a published line."""

import csv
import json
from pathlib import Path

import pytest
from rich.console import Console

from experiments.semeval_leaderboard import row as leaderboard
from tests.test_readme import composes

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "experiments" / "semeval_leaderboard"


def lines() -> list[dict[str, str]]:
    """published.csv."""
    with (FOLDER / "published.csv").open(newline="") as handle:
        return list(csv.DictReader(handle))


@pytest.mark.parametrize("line", lines(), ids=lambda line: f"{line['model']}-{line['name']}")
def test_a_published_final_score_is_the_mean_of_its_parts(line: dict[str, str]) -> None:
    """To the third digit; parts were rounded, and some finals cut off."""
    parts = [float(line[key]) for key in ("task_aggregate", "mia_score", "utility")]
    assert float(line["final"]) == pytest.approx(sum(parts) / 3, abs=1.5e-3)


def test_every_row_has_a_configuration_and_every_configuration_a_row() -> None:
    """ZJUKLAB's row is two runs, merged."""
    files = {path.stem for path in (ROOT / "conf" / "experiment" / "leaderboard").glob("*.yaml")}
    runs = {row for row in leaderboard.ROWS if not row.startswith("zjuklab")}
    assert files == runs | {f"zjuklab_{part}_{size}" for part in ("over", "under") for size in ("1b", "7b")}


@pytest.mark.parametrize("row", sorted(path.stem for path in (ROOT / "conf/experiment/leaderboard").glob("*.yaml")))
def test_every_configuration_composes(row: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the command line, and its name is the row's."""
    monkeypatch.setenv("UNLEARNING_DATA", "data")
    composes(f"unlearn experiment=leaderboard/{row} name={row}")


def test_only_the_baselines_at_1b_were_never_published() -> None:
    """The rest has its line."""
    without = [
        row
        for row in leaderboard.ROWS
        if not leaderboard.published(leaderboard.NAMES[row.rpartition("_")[0]], row[-2:].upper())
    ]
    assert without == ["grad_ascent_1b", "grad_diff_1b", "kl_min_1b", "npo_1b"]


def test_a_row_runs_its_experiment_and_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command is the experiment with the overrides, and both columns are printed."""
    asked = []

    def pretended(command: str, words: list[str], out: Path) -> None:
        asked.append((command, words, out))
        out.mkdir(parents=True)
        numbers = {"final": 0.7, "task_aggregate": 0.9, "mia_score": 0.8, "utility": None}
        (out / "metrics.json").write_text(json.dumps({"unlearned": numbers}))

    monkeypatch.setattr(leaderboard, "run", pretended)
    leaderboard.main("sha256_7b", tmp_path, ["trainer=gpu"])
    assert asked == [("unlearn", ["experiment=leaderboard/sha256_7b", "trainer=gpu"], tmp_path / "sha256_7b")]
    shown = capsys.readouterr().out
    assert "0.700" in shown
    assert "0.711" in shown
    leaderboard.main("zjuklab_1b", tmp_path, [])
    assert [command for command, _, _ in asked[1:]] == ["unlearn", "unlearn", "unlearn-merge"]
    assert asked[-1][2] == tmp_path / "zjuklab_1b"


def test_a_comparison_says_what_is_missing() -> None:
    """Both an unmeasured part and an unpublished row are a dash."""
    console = Console(record=True, width=80)
    console.print(leaderboard.comparison("npo_1b", dict.fromkeys(leaderboard.KEYS), {}))
    assert console.export_text().count("-") >= 8
