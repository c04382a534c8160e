"""The tokens of the subject and of the answer are found, whatever the name and the tokenizer."""

import pytest
from transformers import PreTrainedTokenizerFast

from tests.mediation.builders import byte_level, rows_of
from unlearning.config.prompt import PromptConfig, PromptStyle, Supervised
from unlearning.data.encoding import encode_rows
from unlearning.errors import InputError
from unlearning.mediation.encoded_fact import EncodedFact, encode_facts
from unlearning.mediation.facts import Fact, facts_from_rows

ANSWERS = ("1976-03-29", "900578002", "5655779919", "me@me.com", "10 San Jose Street")
NAMES = ["Goldi Aqua", "Zoë Müller", "李小龙", "Al", "at", "O'Neill D'Arcy", "Bo 🦜 Ng"]
CHAT = (
    "{% for m in messages %}{% if m.role == 'user' %}<begin>user: {{ m.content }}\nassistant:"
    "{% else %} {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
)


def tokenizer(by_words: bool = True, bos: bool = False, vocabulary: int = 330) -> PreTrainedTokenizerFast:
    texts = [fact.prompt for name in NAMES for fact in facts_from_rows(rows_of(1, name, ANSWERS))]
    made = byte_level(texts, vocabulary, by_words, bos)
    made.chat_template = CHAT
    return made


def text_of(encoded: EncodedFact, made: PreTrainedTokenizerFast) -> str:
    return str(made.decode(encoded.input_ids[encoded.subject[0] : encoded.subject[-1] + 1]))


def encode_fact(fact: Fact, made: PreTrainedTokenizerFast, prompt: PromptConfig) -> EncodedFact:
    return encode_facts([fact], made, prompt)[0]


def facts(name: str) -> list[Fact]:
    return facts_from_rows(rows_of(1, name, ANSWERS))


@pytest.mark.parametrize("bos", [False, True])
@pytest.mark.parametrize("style", PromptStyle)
@pytest.mark.parametrize("name", NAMES)
def test_subject_tokens_spell_the_name(name: str, style: PromptStyle, bos: bool) -> None:
    made = tokenizer(bos=bos)
    for fact in facts(name):
        encoded = encode_fact(fact, made, PromptConfig(style=style))
        # The first token of a name includes the space before it.
        assert text_of(encoded, made).strip() == name
        assert made.decode(encoded.answer).strip() == fact.answer
        assert max(encoded.subject) < encoded.answer_start
        assert (*encoded.prompt, *encoded.answer) == encoded.input_ids
        assert encoded.texts == tuple(made.decode([token]) for token in encoded.prompt)
        assert len(encoded.texts) == len(encoded.prompt) == encoded.answer_start
        assert (encoded.foils, encoded.contrast) == ((), None)


@pytest.mark.parametrize("name", NAMES)
def test_tokens_that_reach_beyond_the_name_are_the_subjects_too(name: str) -> None:
    made = tokenizer(by_words=False, vocabulary=600)
    merged = 0
    for fact in facts(name):
        encoded = encode_fact(fact, made, PromptConfig())
        spelt = text_of(encoded, made)
        assert name in spelt
        merged += spelt.strip() != name
        inner = encoded.input_ids[encoded.subject[0] + 1 : encoded.subject[-1]]
        assert made.decode(inner) in name
    assert merged


def test_a_possessive_merged_with_the_name_is_included() -> None:
    made = byte_level(["What is Ann's phone number?"] * 3, 400, by_words=False, bos=False)
    fact = facts("Ann")[2]
    encoded = encode_fact(fact, made, PromptConfig())
    assert "Ann's" in text_of(encoded, made)


@pytest.mark.parametrize("style", PromptStyle)
@pytest.mark.parametrize("supervised", Supervised)
def test_tokens_are_those_of_training_without_the_end(style: PromptStyle, supervised: Supervised) -> None:
    made = tokenizer(bos=True)
    prompt = PromptConfig(style=style, forget_supervised=supervised)
    for row, fact in zip(rows_of(1, "Goldi Aqua", ANSWERS), facts("Goldi Aqua"), strict=True):
        (trained,) = encode_rows([row], made, prompt)
        encoded = encode_fact(fact, made, prompt)
        assert trained.input_ids == (*encoded.input_ids, made.eos_token_id)
        if supervised is Supervised.output:
            assert encoded.answer_start == trained.supervised_from


def test_a_slow_tokenizer_is_refused() -> None:
    class Slow:
        is_fast = False
        name_or_path = "slow/tokenizer"

    with pytest.raises(InputError, match="tokenizer slow/tokenizer: a slow one"):
        encode_fact(facts("Al")[0], Slow(), PromptConfig())  # type: ignore[arg-type]


def test_a_template_that_rewrites_the_question_is_refused() -> None:
    made = tokenizer()
    made.chat_template = CHAT.replace("user: {{ m.content }}", "user: {{ m.content | upper }}")
    with pytest.raises(InputError, match="cannot tell which tokens of the prompt are 'Goldi Aqua'"):
        encode_fact(facts("Goldi Aqua")[0], made, PromptConfig(style=PromptStyle.chat))
