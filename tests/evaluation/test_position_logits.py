"""The output projection at chosen positions, some at a time, compared with all logits at once."""

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from tests.tiny_models import tiny_model
from unlearning.evaluation import position_logits
from unlearning.evaluation.position_logits import log_probabilities, logits_by_part, most_likely_tokens
from unlearning.models import anatomy

IDS = torch.tensor([[5, 6, 7, 8, 9, 10, 11]])


@pytest.fixture(params=["at once", "two at a time"])
def parts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test with memory for all logits, and with memory for those of two positions."""
    if request.param != "at once":
        monkeypatch.setattr(position_logits, "tokens_together", lambda _device, _vocabulary: 2)


def states_and_logits(model: PreTrainedModel) -> tuple[Tensor, Tensor]:
    """Return the decoder's states and the model's own logits at all positions."""
    with torch.no_grad():
        return anatomy.decoder(model)(input_ids=IDS)[0][0], model(IDS).logits[0]


@pytest.mark.usefixtures("parts")
@pytest.mark.parametrize("family", ["olmo", "granite", "cohere", "gemma2"])
@pytest.mark.parametrize("vocabulary", [96, 97])
def test_the_most_likely_tokens_token_is_the_arg_max(family: str, vocabulary: int) -> None:
    """This holds whatever an architecture does to its logits; a vocabulary of 97 is not divided into stretches."""
    model = tiny_model(family, vocab_size=vocabulary)
    states, logits = states_and_logits(model)
    with torch.no_grad():
        values, tokens = most_likely_tokens(model, anatomy.decoder(model), states)
    assert torch.equal(tokens, logits.argmax(-1))
    torch.testing.assert_close(values, logits.amax(-1))


@pytest.mark.usefixtures("parts")
def test_parts_are_all_positions_in_order() -> None:
    """Each position occurs once."""
    model = tiny_model("olmo", vocab_size=97)
    states, logits = states_and_logits(model)
    with torch.no_grad():
        found = list(logits_by_part(model, anatomy.decoder(model), states))
    assert [place for some, _ in found for place in range(some.start, some.stop)] == list(range(7))
    torch.testing.assert_close(torch.cat([part for _, part in found]), logits)


def test_the_first_of_equals_wins() -> None:
    """The first wins across stretches and within them, as in torch.argmax."""
    for places in ([7, 40], [40, 41], [95], [0, 95], [33, 7]):
        logits = torch.zeros(1, 96)
        logits[0, places] = 1.0
        value, token = position_logits._highest(logits)
        assert (value.item(), token.item()) == (1.0, min(places))
    assert torch.equal(position_logits._highest(torch.zeros(2, 97))[1], torch.zeros(2, dtype=torch.long))


def test_a_logit_that_is_no_number_is_not_passed_over() -> None:
    """A NaN counts as the highest logit, wherever it stands."""
    logits = torch.zeros(3, 96)
    logits[1, 50] = float("nan")
    assert position_logits._highest(logits)[0].isnan().tolist() == [False, True, False]


@pytest.mark.usefixtures("parts")
def test_log_probabilities_of_chosen_tokens() -> None:
    """There may be several tokens after one position and none after others."""
    model = tiny_model("olmo", vocab_size=97)
    states, logits = states_and_logits(model)
    places, tokens = torch.tensor([6, 0, 0, 3]), torch.tensor([1, 2, 96, 2])
    with torch.no_grad():
        found = log_probabilities(model, anatomy.decoder(model), states, places, tokens)
    torch.testing.assert_close(found, logits.log_softmax(-1)[places, tokens])
