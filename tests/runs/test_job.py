"""A job in its folder: what is written, refused and kept, without any real work."""

from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

from unlearning.errors import InputError
from unlearning.runs.job import run_job
from unlearning.runs.status import read_status, write_status


def config(seed: int = 0, rule: str = "confidence") -> DictConfig:
    """Return settings with a seed, which counts always, and a rule, which may change after a failure."""
    return OmegaConf.create({"name": "x", "seed": seed, "trace": {"rule": rule}, "cache_dir": "cache"})


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder with its content."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def computed(folder: Path) -> None:
    """Stand for a job that computes something."""
    folder.joinpath("metrics.json").write_text("{}")


@pytest.mark.parametrize("state", ["running", "finished", "failed", "interrupted"])
@pytest.mark.parametrize("multirun", [False, True])
def test_another_run_in_the_folder_is_left_as_it_is(state: str, multirun: bool, tmp_path: Path) -> None:
    """The command with other settings is refused; it writes no state, and removes nothing, also where it is bare."""
    (tmp_path / "config.yaml").write_text(OmegaConf.to_yaml(config()))
    write_status(tmp_path, state, None, "resume")
    before = contents(tmp_path)
    with pytest.raises(InputError, match="holds a run with another seed; choose a new folder or the same settings"):
        run_job(lambda: computed(tmp_path), config(seed=1), tmp_path, "", multirun)
    assert contents(tmp_path) == before


def test_a_finished_run_is_not_computed_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not either with another cache, which changes no result."""
    run_job(lambda: computed(tmp_path), config(), tmp_path, "", False)
    before = contents(tmp_path)
    run_job(pytest.fail, OmegaConf.merge(config(), {"cache_dir": "other"}), tmp_path, "", False)
    assert f"already finished: {tmp_path}" in capsys.readouterr().out
    assert contents(tmp_path) == before


def test_a_failed_run_goes_on_with_the_rule_that_its_message_advises(tmp_path: Path) -> None:
    """How layers are chosen may change after a failure, and not once the run is finished."""

    def refuse() -> None:
        computed(tmp_path)
        raise InputError("choose trace.rule=first")

    with pytest.raises(InputError, match="choose"):
        run_job(refuse, config(), tmp_path, "", False)
    assert read_status(tmp_path)["state"] == "failed"
    run_job(lambda: computed(tmp_path), config(rule="first"), tmp_path, "", False)
    assert OmegaConf.load(tmp_path / "config.yaml").trace.rule == "first"
    with pytest.raises(InputError, match=r"another trace\.rule"):
        run_job(pytest.fail, config(), tmp_path, "", False)


def test_a_run_that_is_refused_before_it_computes_leaves_no_folder(tmp_path: Path) -> None:
    """Folders above it that are empty go too."""

    def refuse() -> None:
        raise InputError("no such file")

    run = tmp_path / "runs" / "today" / "run"
    with pytest.raises(InputError, match="no such file"):
        run_job(refuse, config(), run, "", False)
    assert not (tmp_path / "runs").exists()


def test_a_config_that_cannot_be_read_is_not_overwritten(tmp_path: Path) -> None:
    """It is somebody's file."""
    (tmp_path / "config.yaml").write_text("a: [")
    with pytest.raises(InputError, match=r"config\.yaml: cannot be read .*; choose a new folder"):
        run_job(pytest.fail, config(), tmp_path, "", False)
    assert contents(tmp_path) == {"config.yaml": b"a: ["}
