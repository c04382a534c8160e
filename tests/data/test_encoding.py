"""Token ids are those of the official evaluator's prompt, whatever special tokens a tokenizer adds by itself."""

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from unlearning.config.prompt import PromptConfig, PromptStyle, Supervised
from unlearning.data.encoding import EncodedRow, encode_prompts, encode_rows, encode_text
from unlearning.data.rows import Kind, Row, Split
from unlearning.errors import InputError

TEXTS = [
    "When was Ada Lovelace born? In 1815.",
    "Alan Turing was born in Maida Vale, in 1912.",
    "caf\u00e9 \U0001f600",
]
CHAT = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def tokenizer(habit: str) -> PreTrainedTokenizerFast:
    """Return a byte-level BPE tokenizer; `habit` says which special tokens it adds by itself."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet, show_progress=False
    )
    inner.train_from_iterator(TEXTS, trainer)
    single = {"plain": "$A", "bos": "<s> $A", "bos and eos": "<s> $A </s>"}[habit]
    inner.post_processor = processors.TemplateProcessing(single=single, special_tokens=[("<s>", 0), ("</s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", eos_token="</s>")


HABITS = ["plain", "bos", "bos and eos"]


def encode_row(row: Row, made: PreTrainedTokenizerFast, prompt: PromptConfig) -> EncodedRow:
    return encode_rows([row], made, prompt)[0]


def question(number: int = 0, split: Split = Split.FORGET) -> Row:
    return Row(f"{number}qa0", "When was Ada born?", f"In 181{number}", "Task1", Kind.QUESTION, split)


@pytest.mark.parametrize("habit", HABITS)
def test_prompt_is_the_evaluators_and_completion_follows(habit: str) -> None:
    made = tokenizer(habit)
    row = question()
    encoded = encode_row(row, made, PromptConfig())
    fed = made(row.input)["input_ids"]
    fed = fed[:-1] if habit == "bos and eos" else fed
    assert list(encoded.input_ids[: encoded.supervised_from]) == fed
    completion = list(encoded.input_ids[encoded.supervised_from :])
    assert completion == made(" In 1810", add_special_tokens=False)["input_ids"] + [made.eos_token_id]
    assert made.decode(completion, skip_special_tokens=True).strip() == row.output


def test_raw_row_is_the_whole_text_in_one_piece() -> None:
    made = tokenizer("plain")
    encoded = encode_row(question(), made, PromptConfig(append_eos=False))
    assert list(encoded.input_ids) == made("When was Ada born? In 1810")["input_ids"]


def test_eos_is_optional() -> None:
    made = tokenizer("bos")
    closed = encode_row(question(), made, PromptConfig())
    open_ended = encode_row(question(), made, PromptConfig(append_eos=False))
    assert closed.input_ids == (*open_ended.input_ids, made.eos_token_id)
    assert closed.supervised_from == open_ended.supervised_from


def test_separator() -> None:
    made = tokenizer("plain")
    encoded = encode_row(question(), made, PromptConfig(separator="", append_eos=False))
    assert made.decode(encoded.input_ids[encoded.supervised_from :]) == "In 1810"


@pytest.mark.parametrize("habit", HABITS)
@pytest.mark.parametrize("style", PromptStyle)
@pytest.mark.parametrize("split", Split)
def test_batch_equals_one_by_one(habit: str, style: PromptStyle, split: Split) -> None:
    made = tokenizer(habit)
    made.chat_template = CHAT
    prompt = PromptConfig(style=style, retain_supervised=Supervised.document)
    texts = ["Ada", "When was Ada Lovelace born in Maida Vale?", "caf\u00e9", "x" * 300]
    rows = [Row(f"{n}qa0", text, text[::-1], "Task1", Kind.QUESTION, split) for n, text in enumerate(texts)]
    assert encode_rows(rows, made, prompt) == [encode_row(row, made, prompt) for row in rows]
    assert encode_rows([], made, prompt) == []


def test_batch_ignores_the_tokenizers_padding_and_truncation() -> None:
    made = tokenizer("plain")
    expected = encode_rows([question(), question(1)], made, PromptConfig())
    made.pad_token = "</s>"
    made.backend_tokenizer.enable_padding(length=64)
    made.backend_tokenizer.enable_truncation(4)
    assert encode_rows([question(), question(1)], made, PromptConfig()) == expected


@pytest.mark.parametrize("style", PromptStyle)
def test_supervision_of_each_set(style: PromptStyle) -> None:
    made = tokenizer("bos")
    made.chat_template = CHAT
    prompt = PromptConfig(style=style, retain_supervised=Supervised.document)
    forget = encode_row(question(), made, prompt)
    retain = encode_row(question(split=Split.RETAIN), made, prompt)
    assert forget.input_ids == retain.input_ids
    assert forget.supervised_from == len(encode_prompts([question().input], made, prompt)[0])
    assert retain.supervised_from == 1


def test_chat_wraps_the_input_and_drops_the_separator() -> None:
    made = tokenizer("plain")
    made.chat_template = CHAT
    prompt = PromptConfig(style=PromptStyle.chat)
    encoded = encode_row(question(), made, prompt)
    assert made.decode(encoded.input_ids[: encoded.supervised_from]) == "<|user|>When was Ada born?\n<|assistant|>"
    assert made.decode(encoded.input_ids[encoded.supervised_from :]) == "In 1810</s>"


@pytest.mark.parametrize("habit", HABITS)
def test_text_is_supervised_from_its_second_token_and_closed_once(habit: str) -> None:
    made = tokenizer(habit)
    encoded = encode_text(TEXTS[0], made, PromptConfig())
    assert encoded.supervised_from == 1
    assert encoded.input_ids.count(made.eos_token_id) == 1
    assert encoded.input_ids[-1] == made.eos_token_id
    assert made.decode(encoded.input_ids, skip_special_tokens=True) == TEXTS[0]


@pytest.mark.parametrize("spare", [0, -1])
def test_longest_row(spare: int) -> None:
    made = tokenizer("bos")
    length = len(encode_row(question(), made, PromptConfig()).input_ids)
    prompt = PromptConfig(max_tokens=length + spare)
    if spare == 0:
        assert len(encode_rows([question(1), question()], made, prompt)) == 2
        return
    with pytest.raises(InputError, match=f"row '1qa0': {length} tokens, more than prompt.max_tokens={length - 1}"):
        encode_rows([question(1), question()], made, prompt)


def test_refusals() -> None:
    made = tokenizer("plain")
    with pytest.raises(InputError, match="no chat template"):
        encode_row(question(), made, PromptConfig(style=PromptStyle.chat))
    with pytest.raises(InputError, match=r"text 'a{59}\.\.\.: \d+ tokens, more than"):
        encode_text("a" * 999, made, PromptConfig(max_tokens=3))
    with pytest.raises(InputError, match="text 'a': 1 tokens, none of which can carry a loss"):
        encode_text("a", made, PromptConfig(append_eos=False))
    made.eos_token = None
    with pytest.raises(InputError, match="no end-of-text token"):
        encode_row(question(), made, PromptConfig())


def test_encoded_rows_compare_by_value() -> None:
    assert EncodedRow((1, 2), 1) == EncodedRow((1, 2), 1)
