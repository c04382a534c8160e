"""A tiny model that has learnt nine facts, and what tracing it needs; the fixtures are in conftest.py."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from tests.mediation.builders import rows_of
from unlearning.config.prompt import PromptConfig
from unlearning.config.trace import SelectionRule, TraceConfig
from unlearning.data.rows import Row, Split
from unlearning.mediation.result import METRICS, Metric
from unlearning.mediation.trace import EFFECTS, FINISHED, LAYERS, TraceOutcome, trace

DEPTH = 3
NAMES = ("Goldi Aqua", "Rene Tomato", "Tiffi Magenta", "Pansy Olive")
ROWS = [row for n, name in enumerate(NAMES) for row in rows_of(n, name, (f"{n}976-03", f"{7 - n}00"))]
RETAIN = [
    replace(row, split=Split.RETAIN)
    for n, name in enumerate(("Bobby Green", "Jeana Grey"), 4)
    for row in rows_of(n, name, (f"{n}876-05", f"{9 - n}11"))
]
CONFIG = TraceConfig(facts=6, draws=2, rule=SelectionRule.top_share, value=0.4)
PROMPT = PromptConfig()
ANSWER = METRICS.index(Metric.ANSWER_LOG_PROBABILITY)
FILES = (LAYERS, EFFECTS, FINISHED)


@dataclass(frozen=True)
class Bench:
    """The model and what tracing it needs."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    base: PreTrainedModel

    def trace(
        self,
        out: Path,
        config: TraceConfig = CONFIG,
        forget: Sequence[Row] = ROWS,
        retain: Sequence[Row] = RETAIN,
        base: PreTrainedModel | None = None,
        fabric: Fabric | None = None,
    ) -> TraceOutcome | None:
        fabric = fabric or Fabric(accelerator="cpu", devices=1)
        return trace(self.model, self.tokenizer, forget, retain, config, PROMPT, out, fabric, base)

    def traced(self, out: Path, config: TraceConfig = CONFIG, base: PreTrainedModel | None = None) -> TraceOutcome:
        found = self.trace(out, config, base=base)
        assert found is not None
        return found


def content(out: Path) -> dict[str, Any]:
    """Return the content of layers.json."""
    found: dict[str, Any] = json.loads((out / LAYERS).read_text())
    return found


def files_of(out: Path) -> dict[str, bytes]:
    """Return the content of all files of a folder."""
    return {path.name: path.read_bytes() for path in out.iterdir()}
