"""The values of all membership attacks on one document, by hand."""

import pytest
import torch

from unlearning.data.rows import Document
from unlearning.errors import InputError
from unlearning.evaluation.attacks import document_score, lowest_mean


def test_all_signs_by_hand() -> None:
    """Of ten tokens the lowest two count: -(1 + 8 x 0.5 + 4) / 10 = -0.9, (1 + 4) / 2 = 2.5, (2 + 3) / 2 = 2.5.

    zlib makes 9 bytes of "a": a header of 2, one fixed block of 18 bits in 3 bytes, and a checksum of 4.
    """
    plain = torch.tensor([-1.0, *[-0.5] * 8, -4.0])
    standardised = torch.tensor([*[1.0] * 8, -2.0, -3.0])
    score = document_score(Document("d", "a"), True, plain, standardised)
    assert (score.id, score.member) == ("d", True)
    assert [score.loss_nats, score.zlib] == pytest.approx([0.9, 0.1])
    assert [score.min_k, score.min_k_plus] == [2.5, 2.5]


@pytest.mark.parametrize(("tokens", "counted"), [(1, 1), (4, 1), (9, 1), (10, 2), (14, 2), (15, 3), (35, 7)])
def test_a_fifth_of_the_tokens_counts_and_one_at_least(tokens: int, counted: int) -> None:
    """The lowest n of 0, 1, 2, ... have the mean (n - 1) / 2."""
    assert lowest_mean(torch.arange(tokens).flip(0).float()) == (counted - 1) / 2


def test_text_outside_ascii_is_compressed_as_utf_8() -> None:
    """The letter has two bytes: 3 bits of header, 7 for the end of the block, and 8 or 9 for each byte."""
    plain = torch.tensor([-1.0])
    wide = document_score(Document("d", "é"), True, plain, plain).zlib
    assert 1 / wide == pytest.approx(2 + 4 + 4)


def test_no_number_is_refused() -> None:
    """A loss that is not a number is refused with the name of the document."""
    values = torch.tensor([-1.0, float("nan")])
    with pytest.raises(InputError, match="document d: the model's loss is not a number"):
        document_score(Document("d", "a"), True, values, values)
