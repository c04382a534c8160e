"""The folders of a multirun's jobs: beside those of earlier multiruns, and the same again where it goes on."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from unlearning.locks.lock import InUseError, take
from unlearning.runs.job_folder import own_job_folder

Jobs = list[tuple[int, str]]


def sweep(folder: Path, seeds: list[int], pattern: str = "{number}-npo") -> list[str]:
    """Take a folder for each seed's job, as a multirun does, and return the folders' names."""
    names = []
    for number, seed in enumerate(seeds):
        cfg = OmegaConf.create({"seed": seed})
        asked = folder / pattern.format(number=number)
        asked.mkdir(parents=True, exist_ok=True)
        with own_job_folder(asked, number, cfg) as own:
            own.joinpath("config.yaml").write_text(OmegaConf.to_yaml(cfg))
            names.append(own.name)
    return names


@pytest.mark.parametrize(
    ("earlier", "seeds", "expected"),
    [
        ([], [0, 1], ["0-npo", "1-npo"]),
        ([[0, 1]], [0, 1], ["0-npo", "1-npo"]),
        ([[0, 1]], [2, 3], ["2-npo", "3-npo"]),
        ([[0, 1]], [0, 1, 2], ["0-npo", "1-npo", "2-npo"]),
        ([[0, 1]], [1, 2], ["1-npo", "2-npo"]),
        ([[0], [1, 2]], [2, 0, 3], ["2-npo", "0-npo", "3-npo"]),
        ([[0, 1], [2, 3]], [2, 3], ["2-npo", "3-npo"]),
    ],
)
def test_a_job_keeps_its_folder_and_takes_nobody_elses(
    earlier: list[list[int]], seeds: list[int], expected: list[str], tmp_path: Path
) -> None:
    """A job finds its folder by its settings, whatever number it had; a new one takes the next free number."""
    for before in earlier:
        sweep(tmp_path, before)
    assert sweep(tmp_path, seeds) == expected
    assert len(list(tmp_path.iterdir())) == len({*seeds, *(seed for before in earlier for seed in before)})


def test_names_of_ones_own_get_an_ending(tmp_path: Path) -> None:
    """hydra.sweep.subdir may name folders without the job's number."""
    assert sweep(tmp_path, [0], "npo") == ["npo"]
    assert sweep(tmp_path, [1], "npo") == ["npo-2"]
    assert sweep(tmp_path, [0, 2], "npo") == ["npo", "npo-3"]
    assert sweep(tmp_path, [0], "0.5") == ["npo"]


def test_a_job_that_somebody_else_is_running_is_refused(tmp_path: Path) -> None:
    """The same run is not computed twice; a folder in which another run begins is passed over."""
    sweep(tmp_path, [0])
    lock = take(tmp_path / "0-npo")
    with pytest.raises(InUseError):
        sweep(tmp_path, [0])
    begins = take(tmp_path / "1-npo")
    assert sweep(tmp_path, [5]) == ["2-npo"]
    lock.release()
    begins.release()
