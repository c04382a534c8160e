"""The entry point for a submission to SemEval-2025 Task 4."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.commands.sandbox_runs import TARGET, logits
from unlearning import submission
from unlearning.config.data import WorldConfig
from unlearning.sandbox.world import generate


def test_the_official_entry_point(tmp_path: Path) -> None:
    """Four arguments go in, and one checkpoint with its tokenizer comes out."""
    world = generate(WorldConfig(documents_per_task=1, nonmember_documents=1, known_entities=1, teaching_entities=1))
    for split, rows in (("forget", world.forget), ("retain", world.retain)):
        (tmp_path / split).mkdir()
        columns = {name: [getattr(row, name) for row in rows] for name in ("id", "input", "output", "task")}
        columns["split"] = [split] * len(rows)
        pq.write_table(pa.table(columns), tmp_path / split / f"{split}.parquet")
    folders = [str(tmp_path / name) for name in ("out", "forget", "retain")]
    submission.unlearn(str(TARGET), *folders, overrides=("trainer=cpu", "trainer.max_steps=1"))
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert torch.isfinite(logits(model)).all()
    assert AutoTokenizer.from_pretrained(tmp_path / "out").eos_token_id == model.config.eos_token_id
    assert not (tmp_path / "out" / "checkpoint").exists()
