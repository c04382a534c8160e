"""The linear probe: examples that give nothing away, states of the right token, planted signals and noise."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.probes.world import people, probed
from tests.tiny_models import tiny_model
from unlearning.config.probe import Attribute
from unlearning.data.rows import Kind, Split
from unlearning.errors import InputError
from unlearning.probes import linear
from unlearning.probes.hidden_states import last_states
from unlearning.probes.linear import LinearProbe
from unlearning.probes.linear_examples import LinearExample, answer_examples, assign_folds, truth_examples
from unlearning.probes.probe import DoesNotApplyError

QUESTIONS = [row for row in people(Split.FORGET) if row.kind is Kind.QUESTION]
PROBE = LinearProbe(Attribute.answer, None, 3, 10.0, 0)


def test_truth_gives_nothing_away() -> None:
    """Each question and each answer is once right and once wrong, in one fold, with answers of the same kind."""
    examples = truth_examples(QUESTIONS, 5, 0)
    assert len(examples) == 40
    for text in ((lambda one: one.row.id), (lambda one: one.answer)):
        by_text: dict[str, list[LinearExample]] = {}
        for example in examples:
            by_text.setdefault(text(example), []).append(example)
        assert all(sorted(one.label for one in pair) == [False, True] for pair in by_text.values())
        assert all(len({one.fold for one in pair}) == 1 for pair in by_text.values())
    assert all(one.label == (one.answer == one.row.output) for one in examples)
    towns = {row.output for row in QUESTIONS if row.id.endswith("qa0")}
    assert all((one.answer in towns) == one.row.id.endswith("qa0") for one in examples)


def test_halves_of_the_alphabet() -> None:
    """Each half has five of ten towns; numbers are a kind of their own; of nine answers the middle one is left out."""
    examples = answer_examples(QUESTIONS, 5, 0)
    assert Counter((one.regression, one.label) for one in examples) == dict.fromkeys(
        [(0, False), (0, True), (1, False), (1, True)], 5
    )
    assert {one.row.output for one in examples if one.regression == 0 and not one.label} == {
        "Bren", "Dorn", "Kiel", "Madera City", "Orly",
    }  # fmt: skip
    fewer = answer_examples(QUESTIONS[:18], 3, 0)
    assert Counter(one.regression for one in fewer) == {0: 8, 1: 8}
    assert answer_examples(QUESTIONS[:18], 5, 0) == []


def test_rows_of_a_document_share_a_fold() -> None:
    """All rows of a document are in one fold, and the folds are of equal size."""
    folds = assign_folds(QUESTIONS, 5, 0)
    assert sorted(Counter(folds.values()).values()) == [2] * 5
    assert all(folds[row.id[:-3]] == one.fold for row in QUESTIONS for one in truth_examples([row], 5, 0))


@pytest.mark.parametrize("family", ["olmo", "gpt2", "opt"])
def test_states_are_those_of_the_last_token(family: str) -> None:
    """The states are equal to the hidden states of Transformers, one text at a time."""
    model = tiny_model(family)
    sequences = [[5, 6, 7, 8, 9], [11, 12], [20, 21, 22]]
    states = last_states(model, sequences, [0, 1], 8, lambda _: None)
    for tokens, found in zip(sequences, states, strict=True):
        with torch.no_grad():
            hidden = model(torch.tensor([tokens]), output_hidden_states=True).hidden_states
        assert np.allclose(found[0], hidden[1][0, -1].numpy(), atol=1e-5)


def examples(count: int) -> list[LinearExample]:
    """Return examples of one regression in five folds, half of them labelled True."""
    row = QUESTIONS[0]
    return [
        LinearExample(replace(row, id=f"d{number}qa0"), None, number % 2 == 0, number % 5, 0) for number in range(count)
    ]


def test_a_planted_signal_is_found_in_its_layer() -> None:
    """Layer 1 of 3 has the label in one of 8 directions, and everything else is noise."""
    made = examples(100)
    states = np.random.default_rng(0).normal(size=(100, 3, 8)).astype(np.float32)
    states[:, 1, 4] += [3.0 if example.label else -3.0 for example in made]
    right, chosen = replace(PROBE, folds=5)._cross_validate(states, made)
    assert chosen == [1] * 5
    assert right.mean() > 0.97


def test_noise_is_told_by_chance() -> None:
    """With 400 examples the accuracy is within three standard errors, 0.075, of a half."""
    made = examples(400)
    states = np.random.default_rng(1).normal(size=(400, 4, 6)).astype(np.float32)
    right, _ = replace(PROBE, folds=5)._cross_validate(states, made)
    assert right.mean() == pytest.approx(0.5, abs=0.075)


def test_nothing_is_learnt_from_the_fold_that_is_predicted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the training nor the choice of the layer uses the fold that is predicted."""
    seen: list[tuple[set[int], set[int]]] = []
    original = LinearProbe._correct

    def looking(
        self: LinearProbe, states: object, made: list[LinearExample], training: object, tested: object
    ) -> object:
        folds = np.array([example.fold for example in made])
        seen.append((set(folds[training].tolist()), set(folds[tested].tolist())))
        return original(self, states, made, training, tested)  # type: ignore[arg-type]

    monkeypatch.setattr(LinearProbe, "_correct", looking)
    made = examples(20)
    replace(PROBE, folds=5)._cross_validate(np.random.default_rng(0).normal(size=(20, 2, 3)).astype(np.float32), made)
    others = {0, 1, 2, 3, 4}
    assert seen[:3] == [({2, 3, 4}, {1}), ({2, 3, 4}, {1}), ({1, 2, 3, 4}, {0})]
    assert all(not training & tested and training | tested <= others for training, tested in seen)


def test_a_label_that_was_not_seen() -> None:
    """If only one label was seen in training, it is predicted for all."""
    states = np.zeros((3, 2), dtype=np.float32)
    labels = np.array([True, True, True])
    assert PROBE._predicted(states, labels, states).tolist() == [True] * 3
    assert PROBE._predicted(states, ~labels, states).tolist() == [False] * 3


@pytest.mark.parametrize("attribute", list(Attribute))
def test_the_shown_text(attribute: Attribute) -> None:
    """The text is the question alone, or the question with an answer and without an end-of-text token."""
    asked = probed()
    made = linear.EXAMPLES[attribute](QUESTIONS, 3, 0)
    texts = [asked.tokenizer.decode(ids) for ids in linear._sequences(made, asked)]
    assert texts == [one.row.input + ("" if one.answer is None else f" {one.answer}") for one in made]


def test_what_cannot_be_asked() -> None:
    """A layer that does not exist is an input error; with too few rows the probe does not apply."""
    with pytest.raises(InputError, match="layers are 0 to 1"):
        replace(PROBE, layer=2).run(probed())
    found = replace(PROBE, layer=1).run(probed())
    assert found.notes[0] == "layers chosen for the folds: 1, 1, 1"
    with pytest.raises(DoesNotApplyError, match="too few"):
        replace(PROBE, folds=6).run(probed())
    asked = probed()
    asked.model.get_input_embeddings().weight.data.fill_(float("nan"))
    with pytest.raises(InputError, match="not all finite"):
        PROBE.run(asked)
