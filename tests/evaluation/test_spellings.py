"""The spellings of a text, against every way to cut it, found by trying all."""

from itertools import combinations, pairwise

from tests.evaluation.tiny import byte_tokenizer
from unlearning.evaluation.spellings import Speller


def every_cut(text: str) -> set[tuple[int, ...]]:
    """Return all token sequences of the tokenizer's vocabulary that read as the text, by trying every cut."""
    tokenizer = byte_tokenizer()
    vocabulary = tokenizer.get_vocab()
    written = "".join(tokenizer.convert_ids_to_tokens(tokenizer(text)["input_ids"]))
    found = set()
    for number in range(len(written)):
        for places in combinations(range(1, len(written)), number):
            ends = (0, *places, len(written))
            pieces = [written[start:end] for start, end in pairwise(ends)]
            if all(piece in vocabulary for piece in pieces):
                found.add(tuple(vocabulary[piece] for piece in pieces))
    return found


def test_all_spellings_are_found() -> None:
    """Each once, the tokenizer's own first, then no spelling after a longer one; all read as the text."""
    tokenizer = byte_tokenizer()
    text = " Marcelo"
    found = Speller(tokenizer).spellings(text, 1000)
    assert set(found) == every_cut(text)
    assert len(set(found)) == len(found) > 3
    assert found[0] == tuple(tokenizer(text)["input_ids"])
    lengths = [len(tokens) for tokens in found[1:]]
    assert lengths == sorted(lengths)
    assert {tokenizer.decode(list(tokens)) for tokens in found} == {text}


def test_the_shortest_are_taken_first() -> None:
    """Of a text with many bytes outside ASCII, three spellings are found without a search through all of them."""
    tokenizer = byte_tokenizer()
    text = "Café Müller — naïve façade, Ωmega " * 3
    found = Speller(tokenizer).spellings(text, 3)
    assert len(found) == 3
    assert {tokenizer.decode(list(tokens)) for tokens in found} == {text}


def test_a_text_without_tokens_has_no_spelling() -> None:
    """There is nothing to write."""
    assert Speller(byte_tokenizer()).spellings("", 4) == []
