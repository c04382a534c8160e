"""A fixture that tests of whole commands share."""

import pytest

from tests.commands.sandbox_runs import SandboxRuns


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> SandboxRuns:
    """Return one working folder with one cache for all tests."""
    return SandboxRuns(tmp_path_factory.mktemp("runs"))
