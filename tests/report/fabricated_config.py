"""Configurations of the made-up runs: composed from conf/ as a command does it, so that they hold what real ones do."""

from functools import cache
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from unlearning.config.location import conf_dir
from unlearning.config.registration import register

METHODS: dict[str, tuple[str, ...]] = {
    "layer_freeze": (
        "schedule.epochs=8",
        "schedule.batch_rows=120",
        "optimizer.lr=1.5e-05",
        # As in COVERAGE of tests/report/fabricated_trace.py, which their layers.json is made with.
        "trace.draws=2",
        "trace.rule=coverage",
        "trace.value=0.9",
    ),
    "chunked_lora": (
        "scope.targets=[q,v]",
        "scope.layers=all",
        "schedule.epochs=5",
        "schedule.chunk_rows=32",
        "optimizer.lr=0.0001",
    ),
    "grad_ascent": ("schedule.epochs=1", "schedule.batch_rows=32", "optimizer.lr=1.0e-05"),
}
"""Words of the command line after `method=...`: numbers that tests count on stand here, whatever is tuned in conf/."""
CACHE = "cache_dir=/home/somebody/cache"


def configuration(command: str, *words: str) -> dict[str, Any]:
    """config.yaml of a run of `command` (unlearn, trace, evaluate) with these words; the caller's own to change."""
    made: dict[str, Any] = yaml.safe_load(_text(command, (CACHE, "logger=none", *words)))
    return made


def of_method(method: str, seed: int) -> dict[str, Any]:
    """Return config.yaml of `unlearn` with one of the METHODS."""
    return {**configuration("unlearn", f"method={method}", *METHODS[method]), "seed": seed}


@cache
def _text(command: str, words: tuple[str, ...]) -> str:
    """Return what `run_job` writes into the folder."""
    register()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return OmegaConf.to_yaml(compose(command, list(words)), resolve=True)
