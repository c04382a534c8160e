"""What cannot be scored ends the command with one line that names the row, document or question, and code 1."""

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from tests.command_line import run_command
from tests.evaluation.tiny import byte_model, byte_tokenizer
from unlearning.commands.stages.sandbox_models import ASSETS

CONTEXT = 96
LONG = "It was a long way to Tipperary. " * 20


def rows(text: str = "Who?") -> list[dict[str, str]]:
    """Return two rows, the second with this input."""
    return [{"id": f"{n}qa0", "input": ("Who?", text)[n], "output": "Madera", "task": "Task1"} for n in range(2)]


def write(folder: Path, model: PreTrainedModel, **changed: str) -> list[str]:
    """Write a model and data of all kinds, and return the words that name them; `changed` are longer texts."""
    model.save_pretrained(folder / "model")
    byte_tokenizer().save_pretrained(folder / "model")
    texts = {"forget": "Who?", "retain": "Why?", "document": "in the town", "question": "Which?", **changed}
    for split in ("forget", "retain"):
        lines = [{**row, "id": f"{split}{row['id']}", "input": f"{split} {row['input']}"} for row in rows(texts[split])]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for name, text in (("members", "a short one"), ("nonmembers", texts["document"])):
        (folder / f"{name}.jsonl").write_text(json.dumps({"id": f"{name}0", "document": text}) + "\n")
    question = {"question": texts["question"], "subject": "rivers", "choices": list("abcd"), "answer": 1}
    (folder / "mmlu").mkdir()
    for part in ("test", "dev"):
        pq.write_table(pa.Table.from_pylist([question]), folder / "mmlu" / f"{part}.parquet")
    words = ["model=local", "model.path=./model", "trainer=cpu", "logger=none", "evaluation.max_new_tokens=2"]
    words += ["data=jsonl", "data.forget=[./forget.jsonl]", "data.retain=[./retain.jsonl]", "data.mmlu=./mmlu"]
    return [*words, "data.members=./members.jsonl", "data.nonmembers=./nonmembers.jsonl"]


def refused(words: list[str], folder: Path) -> str:
    """Return the one line that the command ends with."""
    ended = run_command("evaluate", words, folder)
    assert ended.code == 1, ended.out
    (line,) = ended.err.strip().splitlines()
    return line


def test_what_fits_is_scored(tmp_path: Path) -> None:
    """The model and the data that the other tests change one by one are accepted."""
    ended = run_command(
        "evaluate", [*write(tmp_path, byte_model("olmo", context=CONTEXT).float()), "hydra.run.dir=one"], tmp_path
    )
    assert ended.code == 0, ended.err
    metrics = json.loads((tmp_path / "one" / "metrics.json").read_text())
    assert metrics["local"]["mia_auc"] is not None
    assert metrics["local"]["utility_letters"] is not None


@pytest.mark.by_default("question-question rivers/test/0", "document-document nonmembers0")
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("forget", "row forget1qa0"),
        ("retain", "row retain1qa0"),
        ("document", "document nonmembers0"),
        ("question", "question rivers/test/0"),
    ],
)
def test_what_is_longer_than_the_context(kind: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text that is too long is refused, never cut, and before weights are read."""
    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", None)
    line = refused(write(tmp_path, byte_model("olmo", context=CONTEXT).float(), **{kind: LONG}), tmp_path)
    assert line.startswith(f"error: {name}: ")
    assert f"context of {CONTEXT}" in line


def not_a_number(model: PreTrainedModel) -> None:
    """Make one weight of the output projection NaN."""
    with torch.no_grad():
        model.lm_head.weight[5, 0] = float("nan")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("change", "words", "message"),
    [
        (not_a_number, [], "row forget0qa0: the model's logits are not a number (NaN); its weights are broken"),
        (None, [f"model.tokenizer={ASSETS / 'target'}"], "they do not belong together"),
    ],
    ids=["not a number", "tokenizer of another model"],
)
def test_what_cannot_be_right(
    change: Callable[[PreTrainedModel], None] | None, words: list[str], message: str, tmp_path: Path
) -> None:
    """Broken weights are refused, and so is a tokenizer with more tokens than the model has embeddings."""
    model = byte_model("olmo", context=CONTEXT).float()
    if change is not None:
        change(model)
    line = refused([*write(tmp_path, model), *words], tmp_path)
    assert line.startswith("error: ")
    assert message in line
    assert len(AutoTokenizer.from_pretrained(ASSETS / "target")) > model.get_input_embeddings().weight.shape[0]


@pytest.mark.by_default("members-mia_score")
@pytest.mark.parametrize(("absent", "missing"), [("members", "mia_score"), ("mmlu", "utility")])
def test_what_the_data_lacks_is_named(absent: str, missing: str, tmp_path: Path) -> None:
    """The final score is not computed of fewer parts; a line says which part is missing."""
    words = write(tmp_path, byte_model("olmo", context=CONTEXT).float())
    left_out = ("data.members", "data.nonmembers") if absent == "members" else (f"data.{absent}",)
    ended = run_command("evaluate", [word for word in words if not word.startswith(left_out)], tmp_path)
    assert ended.code == 0, ended.err
    assert f"missing: {missing}: the data has no" in ended.out
