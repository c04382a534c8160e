"""Every file of conf/data/: it chooses a schema, names what it reads, and fits its reader."""

import inspect
from pathlib import Path

import pytest
from hydra.errors import ConfigCompositionException
from hydra.utils import get_class

from tests.data.settings import data_settings
from unlearning.config.build import build
from unlearning.config.data import FileDataConfig, SandboxDataConfig, WorldConfig, sandbox_world
from unlearning.config.errors import one_line
from unlearning.data.reader import Reader

NAMES = sorted(path.stem for path in (Path(__file__).parents[2] / "conf" / "data").glob("*.yaml"))


@pytest.fixture(autouse=True)
def official_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """Name a folder of the official data; nothing there is opened."""
    monkeypatch.setenv("UNLEARNING_DATA", "/somewhere")


@pytest.mark.parametrize("name", NAMES)
def test_every_file_names_its_rows_and_fits_its_reader(name: str) -> None:
    """Only the user's own rows and the task's directories are left for the command line.

    A key without a parameter would do nothing; a parameter without a key could not be set.
    """
    config = data_settings(f"data={name}")
    named = isinstance(config, FileDataConfig) and bool(config.forget) and bool(config.retain)
    assert named == (name not in ("sandbox", "jsonl", "task_directories"))
    reader = get_class(config._target_)
    assert issubclass(reader, Reader)
    assert set(vars(config)) - {"_target_"} == set(inspect.signature(reader).parameters)
    built = vars(build(config))
    assert built == {key: value for key, value in vars(config).items() if key != "_target_"}


def test_the_sandboxs_models_know_the_world_that_is_read() -> None:
    """Where another data set is read, they know the shipped models' world."""
    small = data_settings("data.world.documents_per_task=3")
    assert isinstance(small, SandboxDataConfig)
    assert sandbox_world(small) == WorldConfig(documents_per_task=3)
    assert sandbox_world(data_settings("data=jsonl")) == WorldConfig()


def test_a_key_of_another_reader_is_refused() -> None:
    """The sandbox reads no files, so it has no key for them."""
    with pytest.raises(ConfigCompositionException) as caught:
        data_settings("data.forget=[f.jsonl]")
    assert one_line(caught.value) == "data.forget: no such key; allowed here: max_documents_per_task, world"
