"""Small steps of generation use few threads, and leave the setting as it was."""

import pytest
import torch

from tests.evaluation.test_generation import answers, as_completions
from tests.evaluation.tiny import byte_model, byte_tokenizer, official_rows
from unlearning.data.rows import Split
from unlearning.evaluation import decoding, threads
from unlearning.evaluation.threads import WORK_OF_A_THREAD, layer_weights, suitable_threads

CPU = torch.device("cpu")


@pytest.fixture
def four_threads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let torch believe that it has four threads, and return the list of what it is told to use."""
    told = [4]
    monkeypatch.setattr(torch, "get_num_threads", lambda: told[-1])
    monkeypatch.setattr(torch, "set_num_threads", told.append)
    return told


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [(1, [4, 1, 4]), (7, [4, 1, 4]), (8, [4, 2, 4]), (12, [4, 3, 4]), (16, [4]), (1000, [4])],
)
def test_each_thread_has_enough_to_do(four_threads: list[int], tokens: int, expected: list[int]) -> None:
    """A quarter of a thread's work for each token: 8 tokens keep two busy, and 16 or more all four."""
    with suitable_threads(WORK_OF_A_THREAD // 4, tokens, CPU):
        pass
    assert four_threads == expected


def test_another_device_is_left_alone(four_threads: list[int]) -> None:
    """The CPU's threads do not compute there."""
    with suitable_threads(1, 1, torch.device("meta")):
        pass
    assert four_threads == [4]


def test_the_setting_is_as_before_after_a_failure(four_threads: list[int]) -> None:
    """An error leaves no other number of threads behind."""
    with pytest.raises(ValueError, match="broken"), suitable_threads(1, 1, CPU):
        raise ValueError("broken")
    assert four_threads == [4, 1, 4]


def test_a_layer_s_weights_are_counted_by_hand() -> None:
    """Width 64, MLP 128 in an OLMo: four matrices of attention and three of the MLP, without norms."""
    config = byte_model("olmo").config
    width, middle = config.hidden_size, config.intermediate_size
    assert layer_weights(byte_model("olmo")) == 4 * width * width + 3 * width * middle


def test_answers_are_the_same(four_threads: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of a tiny model run on one thread, its prompts on all, and say what they say anyway."""
    assert decoding.suitable_threads is threads.suitable_threads
    model, tokenizer, rows = byte_model("olmo"), byte_tokenizer(), as_completions(official_rows(Split.FORGET)[:4])
    found = answers(model, tokenizer, rows)
    assert set(four_threads) == {1, 4}
    assert four_threads[-1] == 4
    monkeypatch.setattr(threads, "WORK_OF_A_THREAD", 1)
    four_threads[:] = [4]
    assert answers(model, tokenizer, rows) == found
    assert four_threads == [4]
