"""Which of the sandbox's models a configuration uses."""

from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir

from unlearning.commands.stages import sandbox_models
from unlearning.commands.stages.sandbox_models import ASSETS, sandbox_folder
from unlearning.config.data import WorldConfig
from unlearning.config.location import conf_dir
from unlearning.config.registration import register
from unlearning.config.settings import settings_of
from unlearning.data.rows import Corpus
from unlearning.sandbox.world import generate


def settings(command: str, *overrides: str) -> Any:
    """Return the settings of a command line."""
    register()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return settings_of(compose(command, list(overrides)))


@pytest.mark.parametrize(
    ("command", "overrides"),
    [
        ("unlearn", []),
        ("unlearn", ["seed=2", "method=chunked_lora"]),
        ("trace", ["seed=1"]),
        ("evaluate", []),
        ("evaluate", ["data=jsonl", "data.forget=[f.jsonl]", "data.retain=[r.jsonl]"]),
        ("memorise", []),
    ],
)
def test_the_shipped_models_are_used(command: str, overrides: list[str]) -> None:
    """The method and the run's seed do not matter, and no model is built."""
    assert sandbox_folder(settings(command, *overrides)) == ASSETS


def test_a_variant_is_built_from_its_whole_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the rows that the run reads nor its limit of documents change what the sandbox's models know."""
    known: list[Corpus] = []
    monkeypatch.setattr(sandbox_models, "memorise", lambda _model, _tokenizer, corpus, *_: known.append(corpus))
    small = ["model.layers=1", "model.width=32", "model.heads=2", "model.vocabulary=400", "trainer=cpu"]
    rows = ["data=jsonl", "data.forget=[f.jsonl]", "data.retain=[r.jsonl]", "data.max_documents_per_task=1"]
    sandbox_folder(settings("evaluate", *small, *rows, f"cache_dir={tmp_path}"))
    assert known == [generate(WorldConfig())] * 2
