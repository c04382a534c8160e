"""Reading what a trace left in layers.json."""

from pathlib import Path

import pytest

from tests.report.fabricated_trace import write_trace_run
from unlearning.errors import InputError
from unlearning.mediation.tracing import load_tracing


@pytest.mark.parametrize(
    "changes",
    [
        {"effects": []},
        {"metric": "probability", "effects": []},
        {"module": "attention", "window": 3},
        {"counts": {"traced": None}},
        {"counts": []},
        {"mode": "guess"},
        {"screening": 3},
    ],
)
def test_a_file_of_another_make_is_one_line(changes: dict[str, object], tmp_path: Path) -> None:
    folder = write_trace_run(tmp_path / "run", "plain", 8, **changes)
    with pytest.raises(InputError, match=r"layers\.json: not a layers\.json of a trace") as caught:
        load_tracing(folder)
    assert "\n" not in str(caught.value)
