"""Forget rows with other answers: another row's, an invented one, or one text over and over."""

import pytest

from tests.evaluation.tiny import byte_tokenizer
from unlearning.config.prompt import PromptConfig
from unlearning.data.answers import invented_rows, other_rows, repeated_rows
from unlearning.data.encoding import EncodedRow
from unlearning.data.rows import Kind, Row, Split
from unlearning.errors import InputError

TOKENIZER = byte_tokenizer()


def row(name: str, text: str, answer: str, kind: Kind = Kind.QUESTION) -> Row:
    """Return a row of the forget set."""
    return Row(name, text, answer, "Task2", kind, Split.FORGET)


def answers(rows: list[EncodedRow]) -> list[str]:
    """Return the supervised text of each row, with what ends it."""
    return [TOKENIZER.decode(list(one.input_ids[one.supervised_from :])) for one in rows]


def test_another_answer_is_one_of_the_same_kind() -> None:
    """A place among places, and a number, alone of its kind, gets an answer of its task; completions stay apart."""
    asked = [
        row("aqa0", "Where is a?", "Dorn"),
        row("bqa0", "Where is b?", "Ulme"),
        row("cqa0", "Where is c?", " ulme "),
        row("dqa1", "How old is d?", "41"),
        row("esc1", "Once", "upon a time", Kind.COMPLETION),
        row("fsc1", "Then", "it ended", Kind.COMPLETION),
    ]
    for seed in range(5):
        found = [
            text.removesuffix("<|endoftext|>").strip()
            for text in answers(other_rows(asked, TOKENIZER, PromptConfig(), seed))
        ]
        assert found[0] == "Ulme"
        assert found[1] == found[2] == "Dorn"
        assert found[3] in ("Dorn", "Ulme")
        assert found[4:] == ["it ended", "upon a time"]
    assert other_rows(asked, TOKENIZER, PromptConfig(), 0) == other_rows(asked, TOKENIZER, PromptConfig(), 0)


def test_a_row_without_another_answer_is_refused() -> None:
    """The line names the row."""
    asked = [row("aqa0", "Where is a?", "Dorn"), row("bsc1", "Once", "upon a time", Kind.COMPLETION)]
    with pytest.raises(InputError, match=r"^row 'aqa0': no forget row has another answer"):
        other_rows(asked, TOKENIZER, PromptConfig(), 0)


def test_invented_answers_stand_in_place_of_the_own_ones() -> None:
    """Where nothing was invented another row's answer stands, and before anything is invented the own ones."""
    asked = [row("aqa0", "Where is a?", "Dorn"), row("bqa0", "Where is b?", "Ulme")]
    for invented, expected in ((["Sark", ""], ["Sark", "Dorn"]), (["Sark", "Pell"],) * 2, (None, ["Dorn", "Ulme"])):
        found = answers(invented_rows(asked, invented, TOKENIZER, PromptConfig(), 0))
        assert [text.removesuffix("<|endoftext|>").strip() for text in found] == expected
    with pytest.raises(InputError, match=r"^row 'aqa0': no forget row has another answer"):
        invented_rows(asked[:1], [""], TOKENIZER, PromptConfig(), 0)


def test_one_text_is_repeated() -> None:
    """As many tokens as the answer has, the last repetition cut; prompt and end stay."""
    prompt = PromptConfig()
    (found,) = repeated_rows([row("aqa0", "Who?", "7 tea, 565-577")], TOKENIZER, prompt)
    own = TOKENIZER("Who? 7 tea, 565-577")["input_ids"]
    text = TOKENIZER("No Idea")["input_ids"]
    start = found.supervised_from
    assert list(found.input_ids[:start]) == own[:start]
    said = list(found.input_ids[start:-1])
    assert len(said) == len(own) - start > len(text)
    assert said == (text * len(said))[: len(said)]
    assert found.input_ids[-1] == TOKENIZER.eos_token_id
