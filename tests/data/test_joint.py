"""Prompt and answer are tokenised together, whatever the tokenizer puts before or after a text."""

import itertools

import pytest
from transformers import PreTrainedTokenizerFast

from tests.tiny_tokenizers import ADDED, BYTES, END_OF_TURN, EOS, KINDS, LEGACY, UNIGRAM, tiny_tokenizer
from unlearning.config.prompt import PromptConfig, PromptStyle
from unlearning.data.answers import random_rows
from unlearning.data.encoding import EncodedRow, border_notice, encode_prompts, encode_rows, encode_text
from unlearning.data.rows import Kind, Row, Split

QUESTION, ANSWER = "Where does Ada Brook live?", "Norwick"
CHAT = PromptConfig(style=PromptStyle.chat)
every_kind = pytest.mark.parametrize(("kind", "added"), list(itertools.product(KINDS, ADDED)))


def row(output: str = ANSWER, question: str = QUESTION) -> Row:
    return Row("1qa0", question, output, "Task1", Kind.QUESTION, Split.FORGET)


def encode_row(row: Row, made: PreTrainedTokenizerFast, prompt: PromptConfig) -> EncodedRow:
    return encode_rows([row], made, prompt)[0]


def plain_ids(made: PreTrainedTokenizerFast, text: str) -> list[int]:
    """Return what the tokenizer makes of a text, without an end-of-text token that it adds."""
    ids = made(text)["input_ids"]
    return ids[:-1] if ids[-1] == EOS else ids


@every_kind
def test_a_row_is_the_whole_text_and_the_prompt_is_what_is_asked(kind: str, added: str) -> None:
    """The tokens are those of the text in one piece; the first tokens are those of the prompt alone."""
    made = tiny_tokenizer(kind, added)
    encoded = encode_row(row(), made, PromptConfig())
    assert list(encoded.input_ids) == [*plain_ids(made, f"{QUESTION} {ANSWER}"), EOS]
    (asked,) = encode_prompts([QUESTION], made, PromptConfig())
    assert asked == plain_ids(made, QUESTION)
    assert list(encoded.input_ids[: encoded.supervised_from]) == asked
    assert border_notice([row()], made, PromptConfig()) is None


@pytest.mark.parametrize("added", ADDED)
def test_an_answer_of_its_own_has_other_tokens(added: str) -> None:
    """With a prefix space the tokens of " Norwick" alone begin with one space more, which no model says."""
    for kind in (LEGACY, UNIGRAM):
        made = tiny_tokenizer(kind, added)
        encoded = encode_row(row(), made, PromptConfig(append_eos=False))
        answer = made.convert_ids_to_tokens(list(encoded.input_ids[encoded.supervised_from :]))
        assert "".join(answer) == f"\u2581{ANSWER}"
        if kind == LEGACY:
            alone = made.convert_ids_to_tokens(made(f" {ANSWER}", add_special_tokens=False)["input_ids"])
            assert "".join(alone) == f"\u2581\u2581{ANSWER}"


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_that_joins_prompt_and_answer_counts_to_the_answer(kind: str) -> None:
    """Without a separator, "Bro" and "ok" are one token; it is the first label, and a line says so."""
    made = tiny_tokenizer(kind)
    prompt = PromptConfig(separator="", append_eos=False)
    cut = row("ok", "Where does Ada Bro")
    encoded = encode_row(cut, made, prompt)
    assert list(encoded.input_ids) == plain_ids(made, "Where does Ada Brook")
    assert made.decode(encoded.input_ids[: encoded.supervised_from]).strip() == "Where does Ada"
    assert made.decode(encoded.input_ids[encoded.supervised_from :]).strip() == "Brook"
    notice = border_notice([row(), cut], made, prompt)
    assert notice is not None
    assert "of 2 rows (the first is '1qa0') a token joins the end of the prompt" in notice


@every_kind
def test_a_chat_is_what_the_template_writes(kind: str, added: str) -> None:
    """The tokens are those of the whole conversation up to its end of turn; the end-of-text token is not added."""
    made = tiny_tokenizer(kind, added)
    chat = [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": ANSWER}]
    whole = made.apply_chat_template(chat, return_dict=False)
    asked = made.apply_chat_template(chat[:1], add_generation_prompt=True, return_dict=False)
    encoded = encode_row(row(), made, CHAT)
    assert list(encoded.input_ids) == whole[: len(encoded.input_ids)]
    assert encoded.input_ids[-1] == END_OF_TURN
    assert whole.index(END_OF_TURN, len(asked)) == len(encoded.input_ids) - 1
    assert list(encoded.input_ids[: encoded.supervised_from]) == asked == encode_prompts([QUESTION], made, CHAT)[0]
    (drawn,) = random_rows([row()], made, CHAT, 0)
    assert drawn.input_ids[-1] == END_OF_TURN


def chat_text(template: str, answer: str = ANSWER, **changes: object) -> tuple[str, str]:
    """Return prompt and the rest of a chat, as text."""
    made = tiny_tokenizer(BYTES)
    made.chat_template = template
    prompt = PromptConfig(style=PromptStyle.chat, **changes)
    encoded = encode_row(row(answer), made, prompt)
    asked, rest = encoded.input_ids[: encoded.supervised_from], encoded.input_ids[encoded.supervised_from :]
    assert encode_prompts([QUESTION], made, prompt) == [list(asked)]
    return made.decode(asked), made.decode(rest)


USER = (
    "{% for m in messages %}{% if m.role == 'user' %}Q: {{ m.content }}\nA:"
    "{% elif m.role == 'system' %}[{{ m.content }}]"
)
TEMPLATES = {
    "the space before an answer joins": (" {{ m.content }} </s>", f"Q: {QUESTION}\nA:", f" {ANSWER} </s>"),
    "no special token": ("{{ m.content }}\n", f"Q: {QUESTION}\nA:", f"{ANSWER}</s>"),
    "an empty thought": (
        "<think></think>{{ m.content }}<|end|>\n",
        f"Q: {QUESTION}\nA:<think></think>",
        f"{ANSWER}<|end|>",
    ),
    "a trimmed answer": ("{{ m.content | trim }}<|end|>", f"Q: {QUESTION}\nA:", f"{ANSWER}<|end|>"),
}


@pytest.mark.parametrize("name", TEMPLATES)
def test_what_a_template_writes_around_an_answer(name: str) -> None:
    written, asked, rest = TEMPLATES[name]
    template = f"{USER}{{% else %}}{written}{{% endif %}}{{% endfor %}}"
    answer = f" {ANSWER}\n" if "trim" in written else ANSWER
    assert chat_text(template, answer) == (asked, rest)
    without_end = chat_text(template, answer, append_eos=False)
    assert without_end == (asked, rest[: rest.index(ANSWER) + len(ANSWER)])


def test_system_message_and_date_are_those_of_the_settings() -> None:
    """Today's date never enters, whichever way a template asks for it."""
    clock = "{{ strftime_now('%-d %b %Y, %H:%M') }}|{{ date_string }}|"
    template = f"\n{clock}{USER}{{% else %}}{{{{ m.content }}}}<|end|>{{% endif %}}{{% endfor %}}"
    asked, _ = chat_text(template, system="Be short.", date="2025-03-09")
    assert asked == f"\n9 Mar 2025, 00:00|09 Mar 2025|[Be short.]Q: {QUESTION}\nA:"
    assert chat_text(template)[0].startswith("\n26 Jul 2024, 00:00|26 Jul 2024|Q:")


def test_a_text_of_background_is_closed_once() -> None:
    for kind, added in itertools.product(KINDS, ADDED):
        made = tiny_tokenizer(kind, added)
        ids = encode_text(QUESTION, made, PromptConfig()).input_ids
        assert list(ids) == [*plain_ids(made, QUESTION), EOS]


def test_rows_of_every_script_stay_whole() -> None:
    """A character of several tokens at the border is on one side of it."""
    made = tiny_tokenizer(BYTES)
    rows = [row("\U0001f600 \u00e9", f"\u00e9\U0001f600{number}\u6771") for number in range(3)]
    for one, encoded in zip(rows, encode_rows(rows, made, PromptConfig(append_eos=False)), strict=True):
        assert made.decode(encoded.input_ids[: encoded.supervised_from]) == one.input
        assert made.decode(encoded.input_ids[encoded.supervised_from :]) == f" {one.output}"
