"""The linear probe: can a forgotten answer still be read from a model's hidden states?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedModel

from unlearning.config.probe import Attribute, Measured
from unlearning.config.prompt import Supervised
from unlearning.data.encoding import encode_prompts, encode_rows
from unlearning.data.ids import document_id
from unlearning.errors import InputError
from unlearning.evaluation.model_state import require_fits
from unlearning.models import anatomy
from unlearning.probes.forget_answers import forget_rows
from unlearning.probes.hidden_states import States, last_states
from unlearning.probes.linear_examples import LinearExample, answer_examples, truth_examples
from unlearning.probes.probe import DoesNotApplyError, Measurement, ProbedModel, RowScore
from unlearning.progress.shown import shown_progress

CHANCE = 0.5
"""Balanced accuracy of a guess between two labels."""
EXAMPLES = {Attribute.answer: answer_examples, Attribute.truth: truth_examples}
Labels = NDArray[np.bool_]


@dataclass(frozen=True)
class LinearProbe:
    """Balanced accuracy, 0 to 1, of a logistic regression on the output of a layer at a text's last token.

    The regression predicts an attribute of the forgotten answer (see `linear_examples`). It is cross-validated: each
    fold of documents is predicted by a regression that was trained on all other folds. Without `layer` the layer is
    chosen for each fold: a regression for each layer is trained without this fold and the next, and the layer that is
    best on the next fold is taken.

    Sources: Lynch et al. 2024 (arXiv 2402.16835); what is deleted from answers remains in hidden states: Patil et al.
    2023 (arXiv 2309.17410).
    """

    attribute: Attribute
    layer: int | None
    folds: int
    penalty: float
    seed: int

    @property
    def title(self) -> str:
        """What is predicted from which states."""
        states = "the best layer" if self.layer is None else f"layer {self.layer}"
        what = "right or swapped answer" if self.attribute is Attribute.truth else "which half the answer is in"
        return f"{what}, predicted from {states}"

    @property
    def measure(self) -> str:
        """The measure of the predictions; it is balanced since both labels are equally frequent."""
        return "balanced accuracy"

    def run(self, probed: ProbedModel) -> Measurement:
        """Return, for each question, the share of its examples that are predicted right.

        Raises InputError for a layer that the model does not have, and for states that are not finite.
        """
        depth = self.require_layer(probed.model)
        layers = list(range(depth)) if self.layer is None else [self.layer]
        rows = forget_rows(probed.corpus, Measured.knowledge)
        examples = EXAMPLES[self.attribute](rows, self.folds, self.seed)
        if {example.fold for example in examples} != set(range(self.folds)):
            raise DoesNotApplyError(f"too few answers of one kind for {self.folds} folds")
        sequences = _sequences(examples, probed)
        with shown_progress("hidden states", len(sequences)) as advance:
            states = last_states(probed.model, sequences, layers, probed.evaluation.batch_tokens, advance)
        if not np.isfinite(states).all():
            raise InputError("the model's hidden states are not all finite; its weights are broken")
        right, chosen = self._cross_validate(states, examples)
        used = len({example.row.id for example in examples})
        notes = [f"layers chosen for the folds: {', '.join(str(layers[place]) for place in chosen)}"]
        notes += [f"{len(rows) - used} of {len(rows)} questions are of kinds too rare"] if used < len(rows) else []
        return Measurement(_items(examples, right), chance=CHANCE, notes=notes)

    def require_layer(self, model: PreTrainedModel) -> int:
        """Return the number of the model's layers. Raises InputError where it lacks the layer that is asked for."""
        depth = len(anatomy.layers(model))
        if self.layer is not None and self.layer >= depth:
            raise InputError(f"linear probe: layer={self.layer}: this model's layers are 0 to {depth - 1}")
        return depth

    def _cross_validate(self, states: States, examples: Sequence[LinearExample]) -> tuple[Labels, list[int]]:
        """Return whether each example (N,) was predicted right by regressions that saw none of its fold.

        Also returns, for each fold, the index of the layer that was chosen.
        """
        fold = np.array([example.fold for example in examples])
        right = np.zeros(len(examples), dtype=bool)
        chosen = []
        for test in range(self.folds):
            held_out = (test + 1) % self.folds
            training, held = (fold != test) & (fold != held_out), fold == held_out
            several = range(states.shape[1]) if states.shape[1] > 1 else range(0)
            accuracy = [self._correct(states[:, place], examples, training, held).mean() for place in several]
            chosen.append(int(np.argmax(accuracy)) if accuracy else 0)
            right[fold == test] = self._correct(states[:, chosen[-1]], examples, fold != test, fold == test)
        return right, chosen

    def _correct(
        self, states: NDArray[np.float32], examples: Sequence[LinearExample], training: Labels, tested: Labels
    ) -> Labels:
        """Return whether each of the `tested` examples is predicted right by regressions on the `training` examples."""
        labels = np.array([example.label for example in examples])
        number = np.array([example.regression for example in examples])
        found = np.zeros(len(examples), dtype=bool)
        for one in np.unique(number[tested]):
            own, asked = training & (number == one), tested & (number == one)
            found[asked] = self._predicted(states[own], labels[own], states[asked]) == labels[asked]
        result: Labels = found[tested]
        return result

    def _predicted(self, states: NDArray[np.float32], labels: Labels, asked: NDArray[np.float32]) -> Labels:
        """Return the labels that a regression on `states` predicts for `asked`; if it saw only one label, this one."""
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        if labels.all() or not labels.any():
            return np.full(len(asked), bool(labels.any()))
        # A label that is rare in training is frequent in the test: without equal weights it is predicted too rarely.
        regression = LogisticRegression(C=1 / self.penalty, class_weight="balanced", max_iter=1000)
        model = make_pipeline(StandardScaler(), regression).fit(states.astype(np.float64), labels)
        found: Labels = model.predict(asked.astype(np.float64))
        return found


def _sequences(examples: Sequence[LinearExample], probed: ProbedModel) -> Sequence[Sequence[int]]:
    """Return the token ids of each example: the question, and the answer after it if it has one.

    Raises InputError for an example that is too long.
    """
    rows, tokenizer = [example.row for example in examples], probed.tokenizer
    sequences: list[Sequence[int]] = list(encode_prompts([row.input for row in rows], tokenizer, probed.prompt))
    answered = [place for place, example in enumerate(examples) if example.answer is not None]
    prompt = replace(probed.prompt, append_eos=False, forget_supervised=Supervised.output)
    shown = [replace(rows[place], output=str(examples[place].answer)) for place in answered]
    for place, encoded in zip(answered, encode_rows(shown, tokenizer, prompt), strict=True):
        sequences[place] = encoded.input_ids
    for row, tokens in zip(rows, sequences, strict=True):
        require_fits(probed.model, f"row {row.id}", len(tokens), 0)
    return sequences


def _items(examples: Sequence[LinearExample], right: Labels) -> list[RowScore]:
    """Return the score of each row, the mean over its examples; the mean of these scores is the balanced accuracy."""
    of_row: dict[str, list[float]] = {}
    for example, tested in zip(examples, right, strict=True):
        of_row.setdefault(example.row.id, []).append(float(tested))
    return [RowScore(name, document_id(name), fmean(scores)) for name, scores in of_row.items()]
