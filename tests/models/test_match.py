"""Whether a tokenizer belongs to a model is said when both are loaded."""

from pathlib import Path

import pytest

from tests.tiny_models import tiny_model
from tests.tiny_tokenizers import BYTES, EOS, tiny_tokenizer
from unlearning.commands.stages.load_pair import check_rows, load_pair
from unlearning.config.model import ModelConfig
from unlearning.config.prompt import PromptConfig
from unlearning.config.trainer import TrainerConfig
from unlearning.data.rows import Corpus, Kind, Row, Split
from unlearning.errors import InputError
from unlearning.models.match import end_of_text_notice, end_of_text_tokens, require_match

TOKENIZER = tiny_tokenizer(BYTES)
CPU = TrainerConfig(accelerator="cpu")


def test_a_tokenizer_with_tokens_that_the_model_lacks_is_refused_on_loading(tmp_path: Path) -> None:
    """A padding token that was added to the tokenizer alone is enough."""
    tiny_model("llama", vocab_size=len(TOKENIZER)).save_pretrained(tmp_path)
    longer = tiny_tokenizer(BYTES)
    longer.add_special_tokens({"pad_token": "[PAD]"})
    longer.save_pretrained(tmp_path)
    size = len(TOKENIZER)
    with pytest.raises(InputError, match=f"tokenizer of {size + 1} tokens, model of {size} embeddings"):
        load_pair(str(tmp_path), ModelConfig(name="local"), CPU)
    require_match(tiny_model("llama", vocab_size=size), TOKENIZER)


def test_another_end_of_text_is_said_once_on_loading(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = tiny_model("llama", vocab_size=len(TOKENIZER), eos_token_id=4)
    model.save_pretrained(tmp_path)
    TOKENIZER.save_pretrained(tmp_path)
    load_pair(str(tmp_path), ModelConfig(name="local"), CPU)
    (said,) = caplog.messages
    assert "ends texts with 4 '<|user|>', its tokenizer with 2 '</s>'" in said
    assert said.count("\n") == 0


@pytest.mark.parametrize("ends", [EOS, [EOS, 5], [5, EOS]])
def test_a_model_that_names_the_tokenizers_end_among_others_needs_no_word(ends: int | list[int]) -> None:
    model = tiny_model("llama", vocab_size=len(TOKENIZER), eos_token_id=6)
    model.generation_config.eos_token_id = ends
    assert end_of_text_notice(model, TOKENIZER) is None
    assert end_of_text_tokens(model) == {6, EOS, *(ends if isinstance(ends, list) else [ends])}


def test_a_model_that_names_no_end_needs_no_word() -> None:
    model = tiny_model("llama", vocab_size=len(TOKENIZER), eos_token_id=None)
    assert end_of_text_tokens(model) == frozenset()
    assert end_of_text_notice(model, TOKENIZER) is None


def test_rows_are_checked_before_anything_is_trained(caplog: pytest.LogCaptureFixture) -> None:
    """A row longer than the context is refused with its name, and a token across the border is said once."""
    model = tiny_model("llama", vocab_size=len(TOKENIZER))
    question = "Where does Ada Brook live?"
    short = Row("short", question, "Norwick", "Task1", Kind.QUESTION, Split.FORGET)
    cut = Row("cut", "Where does Ada Bro", "ok", "Task1", Kind.QUESTION, Split.RETAIN)
    check_rows(Corpus((short,), (cut,)), [model], TOKENIZER, PromptConfig())
    assert caplog.messages == []
    check_rows(Corpus((short,), (cut,)), [model], TOKENIZER, PromptConfig(separator=""))
    (said,) = caplog.messages
    assert said.startswith("in 1 of 2 rows (the first is 'cut')")
    long = Row("long", question, "0 1 " * 100, "Task1", Kind.QUESTION, Split.FORGET)
    with pytest.raises(InputError, match=r"row long: \d+ tokens; the model's context of 128"):
        check_rows(Corpus((short, long), ()), [model], TOKENIZER, PromptConfig())
