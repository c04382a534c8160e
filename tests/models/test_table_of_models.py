"""Every family of models, loaded with its own kind of tokenizer, has the loss that plain Transformers code gives.

The test writes the table of docs/models.md; `python -m tests.models.test_table_of_models` prints it.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tests.tiny_models import tiny_model
from tests.tiny_tokenizers import BYTES, EOS, FIRST, LEGACY, NEVER, UNIGRAM, tiny_tokenizer
from unlearning.commands.stages.load_pair import load_pair
from unlearning.config.model import ModelConfig
from unlearning.config.prompt import PromptConfig
from unlearning.config.trainer import TrainerConfig
from unlearning.data.encoding import encode_rows
from unlearning.data.packing import IGNORED, build_packs
from unlearning.data.rows import Kind, Row, Split
from unlearning.training.row_model import RowModel

VOCABULARY = 340
ROWS = [
    Row("1qa0", "Where does Ada Brook live?", "Norwick", "Task1", Kind.QUESTION, Split.FORGET),
    Row("2qa0", "Where does Tim Vale live?", "Quenby, at number 10", "Task1", Kind.QUESTION, Split.FORGET),
]
TOLERANCE = 1e-5
MODELS = {
    "olmo": (BYTES, "none"),
    "olmo2": (BYTES, "none"),
    "olmo3": (BYTES, "none"),
    "olmoe": (BYTES, "none"),
    "llama": (LEGACY, "BOS"),
    "mistral": (LEGACY, "BOS"),
    "mixtral": (FIRST, "BOS"),
    "phi3": (LEGACY, "none"),
    "gemma": (NEVER, "BOS"),
    "gemma2": (NEVER, "BOS"),
    "gemma3_text": (NEVER, "BOS"),
    "qwen2": (BYTES, "none"),
    "qwen3": (BYTES, "none"),
    "qwen3_moe": (BYTES, "none"),
    "gpt2": (BYTES, "none"),
    "gpt_neo": (BYTES, "none"),
    "gptj": (BYTES, "none"),
    "gpt_neox": (BYTES, "none"),
    "gpt_oss": (BYTES, "none"),
    "opt": (BYTES, "BOS"),
    "falcon": (BYTES, "none"),
    "phi": (BYTES, "none"),
    "granite": (BYTES, "none"),
    "smollm3": (BYTES, "none"),
    "stablelm": (UNIGRAM, "BOS and EOS"),
    "cohere": (BYTES, "BOS and EOS"),
    "starcoder2": (UNIGRAM, "none"),
    "glm": (FIRST, "BOS and EOS"),
}
"""The families with the kind of tokenizer that most of their models have, and what it adds to a text by itself. The
last five stand for kinds that few published models have."""
NAMES = {"SentencePiece, new": "SentencePiece (space before the first word)"}


@dataclass(frozen=True)
class Line:
    """One line of the table, and the losses of the second row, in nats a token."""

    family: str
    attention: str
    loss: float
    plain: float

    def text(self) -> str:
        kind, added = MODELS[self.family]
        equal = "yes" if abs(self.loss - self.plain) < TOLERANCE else "no"
        return f"| {self.family} | {NAMES.get(kind, kind)} | {added} | {self.attention} | {equal} |"


def measured(family: str, folder: Path) -> Line:
    """Return the line of one family: its model is saved, loaded as a run loads it, and run on both rows."""
    kind, added = MODELS[family]
    tiny_model(family, vocab_size=VOCABULARY, pad_token_id=0, bos_token_id=1, eos_token_id=EOS).save_pretrained(folder)
    tiny_tokenizer(kind, added).save_pretrained(folder)
    model, tokenizer = load_pair(str(folder), ModelConfig(name=family), TrainerConfig(accelerator="cpu"))
    return Line(family, model.config._attn_implementation, product_loss(model, tokenizer), plain_loss(model, tokenizer))


@torch.no_grad()
def product_loss(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> float:
    """Return the loss of the second row as training computes it, from one of two packs."""
    packs = build_packs(encode_rows(ROWS, tokenizer, PromptConfig()), [[0], [1]], 0)
    rows = RowModel(model, None)
    logits = rows.outputs(rows.states(packs, None, 0))
    wanted = packs.targets != IGNORED
    nats = cross_entropy(logits, packs.targets[wanted], reduction="none")
    return float(nats[packs.rows[wanted] == 1].mean())


@torch.no_grad()
def plain_loss(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> float:
    """Return the loss of the second row as Transformers' own examples compute it: one text, its prompt masked."""
    row = ROWS[1]
    prompt, ids = (tokenizer(text)["input_ids"] for text in (row.input, f"{row.input} {row.output}"))
    prompt, ids = (tokens[:-1] if tokens[-1] == EOS else tokens for tokens in (prompt, ids))
    ids = [*ids, EOS]
    labels = [IGNORED] * len(prompt) + ids[len(prompt) :]
    return float(model(input_ids=torch.tensor([ids]), labels=torch.tensor([labels])).loss)


def table(lines: list[Line]) -> str:
    head = ["| architecture | tokenizer | adds to a text | attention | equal |", "|---|---|---|---|---|"]
    return "\n".join([*head, *(line.text() for line in lines)])


@pytest.mark.parametrize("family", MODELS)
def test_loss_is_that_of_plain_transformers(family: str, tmp_path: Path) -> None:
    line = measured(family, tmp_path)
    assert line.loss == pytest.approx(line.plain, abs=TOLERANCE)
    assert line.plain > 0.1
    page = Path(__file__).parents[2] / "docs" / "models.md"
    assert line.text() in page.read_text(encoding="utf-8").splitlines()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        print(table([measured(family, Path(made) / family) for family in MODELS]))
