"""Whole commands beside a command that owns their folder. The work itself is left out."""

from pathlib import Path

import pytest
from filelock import FileLock
from omegaconf import OmegaConf

from tests.command_line import run_command
from tests.runs.test_job import contents
from unlearning.commands import unlearn as unlearn_command
from unlearning.config.commands import UnlearnConfig
from unlearning.context import RunContext
from unlearning.locks.lock import InUseError, take
from unlearning.runs import owner

COMMANDS = ["unlearn", "memorise", "trace", "evaluate", "merge", "probe"]
MAY_NOT = "error: {folder}: another command is running in this folder; wait until it ends, or choose another {key}\n"


@pytest.fixture
def seeds(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the seeds of the runs that `unlearn` does, which are quick: each leaves a metrics.json."""
    done: list[int] = []

    def run(config: UnlearnConfig, context: RunContext) -> None:
        done.append(config.seed)
        context.run_dir.joinpath("metrics.json").write_text(f'{{"seed": {config.seed}}}')

    monkeypatch.setattr(unlearn_command, "run", run)
    monkeypatch.setattr("unlearning.commands.comparison.report_on", lambda *_: None)
    return done


@pytest.mark.by_default("unlearn", "merge")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_in_use_is_left_as_it_is(command: str, tmp_path: Path) -> None:
    """Also Hydra and the log write nothing, whatever they are told to."""
    lock = take(tmp_path / "run")
    (tmp_path / "run" / "run.log").write_text("of the owner\n")
    before = contents(tmp_path)
    words = ["hydra.run.dir=run", "hydra.output_subdir=.hydra", "hydra.verbose=true", "adapters=[a]"]
    ended = run_command(command, words[: 4 if command == "merge" else 3], tmp_path)
    lock.release()
    assert (ended.code, ended.err) == (1, MAY_NOT.format(folder="run", key="hydra.run.dir"))
    assert contents(tmp_path) == before


def test_a_multirun_in_use_is_left_as_it_is(tmp_path: Path) -> None:
    """Hydra would write multirun.yaml before the first job."""
    lock = take(tmp_path / "sweep")
    before = contents(tmp_path)
    ended = run_command("unlearn", ["-m", "seed=0,1", "hydra.sweep.dir=sweep"], tmp_path)
    lock.release()
    assert (ended.code, ended.err) == (1, MAY_NOT.format(folder="sweep", key="hydra.sweep.dir"))
    assert contents(tmp_path) == before


def test_multiruns_in_one_folder_add_jobs_and_go_on(seeds: list[int], tmp_path: Path) -> None:
    """Finished jobs stay finished, under the names that they have."""
    for words in ("seed=0,1", "seed=1,2"):
        assert run_command("unlearn", ["-m", words, "hydra.sweep.dir=sweep"], tmp_path).code == 0
    assert seeds == [0, 1, 2]
    jobs = {path.parent.name: OmegaConf.load(path).seed for path in (tmp_path / "sweep").glob("*/config.yaml")}
    assert jobs == {f"{seed}-layer_freeze": seed for seed in range(3)}
    for seed in range(3):
        folder = tmp_path / "sweep" / f"{seed}-layer_freeze"
        assert OmegaConf.load(folder / "status.json").state == "finished"
        assert (folder / "metrics.json").read_text() == f'{{"seed": {seed}}}'


@pytest.mark.usefixtures("seeds")
def test_a_default_name_that_is_taken_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here another command owns the first name, as if it had started in the same microsecond."""
    asked: list[Path] = []

    def taken_at_first(folder: Path) -> FileLock:
        asked.append(folder)
        if len(asked) == 1:
            raise InUseError(f"{folder}: taken")
        return take(folder)

    monkeypatch.setattr(owner, "take", taken_at_first)
    assert run_command("unlearn", [], tmp_path).code == 0
    first, second = asked
    assert first != second
    assert [path.parent for path in tmp_path.glob("outputs/*/*/metrics.json")] == [tmp_path / second]
