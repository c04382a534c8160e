"""The scores of one's own rows: words of any script, and answers that are nothing special outside the official CSV."""

import random

import pytest
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import DefaultTokenizer, Tokenizer

from unlearning.data.rows import Kind, Row, Split
from unlearning.evaluation.answer_score import SCORERS, answer_score, scorers
from unlearning.evaluation.stopping import own_answer_missed, own_completion_covered
from unlearning.evaluation.unicode_words import unicode_words


def row(output: str, kind: Kind = Kind.COMPLETION, own: bool = True) -> Row:
    return Row("7", "asked", output, "Task1", kind, Split.FORGET, own=own)


class UnicodeTokenizer(Tokenizer):
    """What rouge_score takes as its tokenizer."""

    def tokenize(self, text: str) -> list[str]:
        return unicode_words(text)


WORDS = [
    ("Киев стоит на реке Днепр.", ["киев", "стоит", "на", "реке", "днепр"]),
    ("Ελληνικά, ΣΟΦΟΣ", ["ελληνικά", "σοφοσ"]),
    ("l'été à Saint-Étienne", ["l", "été", "à", "saint", "étienne"]),
    ("e\u0301te\u0301", ["été"]),
    ("東京です。", ["東", "京", "で", "す"]),
    ("한국어 문장", ["한국어", "문장"]),
    # A letter with its vowel sign and tone mark is one character.
    ("ที่ ๒๕", ["ที่", "๒", "๕"]),
    ("हिन्दी में", ["हिन्दी", "में"]),
    ("مرحبا ٣", ["مرحبا", "٣"]),
    ("Jumping cats in_東 x2", ["jump", "cat", "in", "東", "x2"]),
    ("?! 🙂", []),
]


@pytest.mark.parametrize(("text", "words"), WORDS, ids=[case[0] for case in WORDS])
def test_words_of_any_script(text: str, words: list[str]) -> None:
    assert unicode_words(text) == words


def test_words_in_ascii_are_the_official_ones() -> None:
    rng = random.Random(0)
    pieces = ["running", "Cities", "don't", "a_b", "41", "x2y", "e-mail", ".", "\t", "IS"]
    for _ in range(200):
        text = " ".join(rng.choices(pieces, k=rng.randrange(20)))
        assert unicode_words(text) == DefaultTokenizer(use_stemmer=True).tokenize(text)


@pytest.mark.parametrize("text", [case[0] for case in WORDS])
def test_what_is_remembered_scores_1_and_what_is_not_scores_0(text: str) -> None:
    assert answer_score(row(text), text) == 1
    assert answer_score(row(text), "Ĳ ѝ 国") == answer_score(row(text), "") == 0


def test_part_of_a_text() -> None:
    """Two of three words, and three of four characters, each in order."""
    assert answer_score(row("Киев на Днепре"), "на Киев, на днепре") == 1
    assert answer_score(row("Киев на Днепре"), "Киев Днепре на") == 2 / 3
    assert answer_score(row("東京です"), "東です") == 3 / 4
    assert answer_score(row("🙂 ?!"), "🙂 !") == 2 / 3


def test_recall_is_that_of_rouge_score_with_this_tokenizer() -> None:
    scorer = RougeScorer(["rougeL"], tokenizer=UnicodeTokenizer())
    rng = random.Random(0)
    pieces = ["Киев", "на", "été", "東", "京", "cats", "hat"]
    for _ in range(200):
        expected, said = (" ".join(rng.choices(pieces, k=rng.randrange(1, 12))) for _ in range(2))
        assert answer_score(row(expected), said) == scorer.score(expected, said)["rougeL"].recall


@pytest.mark.parametrize("answer", ["NA", "None", "null", "nan", "N/A"])
def test_a_missing_value_of_the_official_csv_file_is_an_answer_of_ones_own(answer: str) -> None:
    own = row(answer, Kind.QUESTION)
    assert answer_score(own, f" {answer}\n") == 1
    assert answer_score(own, "") == 0
    assert answer_score(own, "NULL" if answer != "null" else "NaN") == 0


def test_official_rows_keep_the_official_score() -> None:
    """The official evaluator reads both texts from a CSV file, and its words are of a-z and 0-9 alone."""
    assert answer_score(row("NA", Kind.QUESTION, own=False), "") == 1
    assert answer_score(row("NA", Kind.QUESTION, own=False), " NA") == 0
    assert answer_score(row("Киев", own=False), "Киев") == 0
    assert answer_score(row("naïve", own=False), "na") == 1 / 2


def test_no_continuation_changes_a_decided_score() -> None:
    rng = random.Random(1)
    pieces = ["а", "я", "é", "e", "\u0301", "東", "京", "ั", "ก", " ", " ", ".", "NA", "nan", "σ", "ς", "Σ", "2"]
    covered = missed = 0
    for _ in range(20000):
        stable, more = ("".join(rng.choices(pieces, k=rng.randrange(1, 9))) for _ in range(2))
        expected = "".join(rng.choices(pieces, k=2))
        if own_completion_covered(stable, unicode_words(expected)):
            covered += 1
            assert answer_score(row(expected), stable + more) == answer_score(row(expected), stable) == 1
        if own_answer_missed(stable, expected):
            missed += 1
            assert answer_score(row(expected, Kind.QUESTION), stable + more) == 0
    assert covered > 100
    assert missed > 100


def test_the_record_says_how_rows_were_scored() -> None:
    assert scorers([True, True]) == [SCORERS[True]]
    assert scorers([True, False]) == [SCORERS[False], SCORERS[True]]
    assert scorers([]) == []
