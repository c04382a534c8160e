"""Fixtures of the report's tests."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.empty_figures import empty_figures
from tests.report.fabricated import make_runs, write_failed, write_run
from tests.report.fabricated_results import evaluation_of
from tests.report.fabricated_sweep import add_troubles, make_sweep
from tests.report.pages import PAGES
from unlearning.commands.comparison import report_on
from unlearning.evaluation.result import EvaluationResult


@pytest.fixture(name="write_run", scope="session")
def write_run_fixture() -> Callable[..., Path]:
    """Return `write_run`."""
    return write_run


@pytest.fixture(name="write_failed", scope="session")
def write_failed_fixture() -> Callable[..., Path]:
    """Return `write_failed`."""
    return write_failed


@pytest.fixture(name="models")
def models_fixture() -> dict[str, EvaluationResult]:
    """Evaluations of a target and an unlearned model, to change at will."""
    return {
        "target": EvaluationResult.from_json(evaluation_of("target", 0, 3)),
        "unlearned": EvaluationResult.from_json(evaluation_of("layer_freeze", 0, 3)),
    }


@pytest.fixture(scope="session")
def page_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the page of a kind, to read only; each is written when it is first asked for."""
    folder = tmp_path_factory.mktemp("pages")
    return cache(lambda kind: PAGES[kind](folder / kind))


@pytest.fixture
def undrawn() -> Iterator[None]:
    """Leave figures empty: for tests of what stands around them."""
    with empty_figures():
        yield


@pytest.fixture
def runs_dir(tmp_path: Path) -> Path:
    """Return the folder of `make_runs`, for a test to change."""
    return make_runs(tmp_path / "runs")


@pytest.fixture(scope="session")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`make_runs` with the comparison written into it, its figures empty, to read only."""
    folder = make_runs(tmp_path_factory.mktemp("compared"))
    with empty_figures():
        report_on(folder, None)
    return folder


@pytest.fixture(scope="session")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep with two seeds and with troubles, and the comparison written into it, its figures empty, to read only."""
    folder = add_troubles(make_sweep(tmp_path_factory.mktemp("swept"), seeds=2))
    with empty_figures():
        report_on(folder, None)
    return folder
