"""Settings of all tests: no network, few threads, little garbage collection."""

import gc
import os
import sys
from collections.abc import Iterator

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("WANDB_SILENT", "true")

import absl.logging
import pytest
import torch
import yaml

from tests.rotation import thin_out

# Models here are so small that a second thread costs more than it gives.
torch.set_num_threads(1)
# By default, looking for garbage takes a tenth of the time.
gc.set_threshold(700, 10, 100)
# Hydra reads some thirty files for each configuration, and libyaml reads the same language faster.
yaml.SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # type: ignore[misc]

# rouge-score brings absl, whose log handler closes its stream when Hydra sets logging up anew; by then that stream may
# be pytest's own capture of an earlier moment. The process's real stderr is one that it leaves open.
absl.logging.get_absl_handler().python_handler.stream = sys.__stderr__


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave to `-m exhaustive` the cases of grids and of long lists that are like others."""
    thin_out(items)


def pytest_collection_finish() -> None:
    """Exempt the million objects that the libraries have made from garbage collection."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module")
def without_figures() -> Iterator[None]:
    """Draw no figures, for tests that look at none."""
    from tests.empty_figures import empty_figures

    with empty_figures():
        yield
