"""Fixtures that tests of whole commands share."""

from collections.abc import Iterator

import pytest

from tests.commands.sandbox_runs import SandboxRuns
from tests.empty_figures import empty_figures


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> SandboxRuns:
    """Return one working folder with one cache for all tests."""
    return SandboxRuns(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def without_figures() -> Iterator[None]:
    """Draw no figures, for tests that look at none."""
    with empty_figures():
        yield
