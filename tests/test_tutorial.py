"""docs/tutorial.ipynb runs from its first cell to its last, and its committed outputs are those of its code."""

import json
import re
from pathlib import Path
from typing import Any

import matplotlib
import pytest

from tests.command_line import own_logging

ROOT = Path(__file__).parent.parent
CELLS = json.loads((ROOT / "docs" / "tutorial.ipynb").read_text())["cells"]


def code() -> list[dict[str, Any]]:
    """Return the notebook's cells of code."""
    return [cell for cell in CELLS if cell["cell_type"] == "code"]


def test_it_was_run_from_top_to_bottom() -> None:
    """The committed notebook has the outputs of one run, in order and without an error, and a picture."""
    assert [cell["execution_count"] for cell in code()] == list(range(1, len(code()) + 1))
    outputs = [output for cell in code() for output in cell["outputs"]]
    assert "error" not in {output["output_type"] for output in outputs}
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 1
    assert not re.search(r"/(root|home|tmp)/", json.dumps(outputs))


@pytest.mark.exhaustive
def test_every_cell_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cells run one after the other, and what they found is what the text says. It takes minutes."""
    monkeypatch.chdir(tmp_path)
    matplotlib.use("Agg")
    names: dict[str, Any] = {"__name__": "__main__"}
    with own_logging():
        for number, cell in enumerate(code(), start=1):
            exec(compile("".join(cell["source"]), f"cell {number}", "exec"), names)
    assert names["trace"].layers.layers
    for run in (names["frozen"], names["chunked"]):
        forgotten = run.metrics["unlearned"]["forget_knowledge"]
        assert forgotten < 0.5 < run.metrics["unlearned"]["retain_knowledge"]
    assert set(names["probed"].table("probes")["probe"]) == {"unprobed", "int4", "primed", "worst_case"}
