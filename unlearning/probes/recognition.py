"""The recognition probe: does a model choose the right answer among answers to other questions of its kind?"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isnan
from statistics import fmean

from unlearning.config.probe import Measured
from unlearning.config.prompt import Supervised
from unlearning.data.answer_kinds import answer_kind, by_kind
from unlearning.data.encoding import encode_rows
from unlearning.data.ids import document_id
from unlearning.data.rows import Row
from unlearning.errors import InputError
from unlearning.evaluation.exact_match import normal_form
from unlearning.evaluation.likelihood import log_likelihoods
from unlearning.evaluation.model_state import require_fits
from unlearning.probes.forget_answers import forget_rows
from unlearning.probes.probe import DoesNotApplyError, Measurement, ProbedModel, RowScore
from unlearning.progress.shown import shown_progress


@dataclass(frozen=True)
class MultipleChoice:
    """A row, and the answers to choose from."""

    row: Row
    options: tuple[str, ...]
    """Answers in random order; the row's own is one of them."""


@dataclass(frozen=True)
class Recognition:
    """The share of questions, 0 to 1, whose right answer is the most likely one of several options.

    The score of an option is log p(answer | question) divided by the answer's characters. The other options are answers
    to other forget questions of the same kind, which the model before unlearning knows as well. Chance is the mean of
    1 / options. WMDP also measures by multiple choice what a model still knows (arXiv 2403.03218).
    """

    options: int
    seed: int

    @property
    def title(self) -> str:
        """The number of options."""
        return f"the right answer among {self.options}"

    @property
    def measure(self) -> str:
        """The measure of the choices."""
        return "accuracy"

    def run(self, probed: ProbedModel) -> Measurement:
        """Return whether the right option is chosen, for every question that has other answers of its kind."""
        rows = forget_rows(probed.corpus, Measured.knowledge)
        choices = make_choices(rows, self.options, self.seed)
        if not choices:
            raise DoesNotApplyError("no question has another answer to choose from")
        prompt = replace(probed.prompt, append_eos=False, forget_supervised=Supervised.output)
        asked = [replace(choice.row, output=option) for choice in choices for option in choice.options]
        encoded = encode_rows(asked, probed.tokenizer, prompt)
        for row, tokens in zip(asked, encoded, strict=True):
            require_fits(probed.model, f"row {row.id}", len(tokens.input_ids), 0)
        with shown_progress("recognition", len(encoded)) as advance:
            sums = log_likelihoods(
                probed.model,
                [row.input_ids for row in encoded],
                [row.supervised_from for row in encoded],
                probed.evaluation.batch_tokens,
                advance,
            )
        scores = iter(total / max(1, len(row.output)) for total, row in zip(sums, asked, strict=True))
        items = [_item(choice, [next(scores) for _ in choice.options]) for choice in choices]
        left_out = len(rows) - len(choices)
        notes = [f"{left_out} of {len(rows)} questions have no other answer of their kind"] if left_out else []
        return Measurement(items, chance=fmean(1 / len(choice.options) for choice in choices), notes=notes)


def make_choices(rows: Sequence[Row], options: int, seed: int) -> list[MultipleChoice]:
    """Return each row with at most so many different options.

    They are answers of the row's kind, or, where its kind has no other answer, of its task. Rows without any other
    answer are left out.
    """
    rng = random.Random(seed)
    of_kind, of_task = by_kind(rows), {row.task: [one for one in rows if one.task == row.task] for row in rows}
    choices = []
    for row in rows:
        others = _other_answers(row, of_kind[answer_kind(row)]) or _other_answers(row, of_task[row.task])
        if others:
            drawn = [row.output, *rng.sample(others, min(options - 1, len(others)))]
            choices.append(MultipleChoice(row, tuple(rng.sample(drawn, len(drawn)))))
    return choices


def _other_answers(row: Row, rows: Sequence[Row]) -> list[str]:
    """Return the different answers of the rows, each once, without the row's own."""
    found = {normal_form(one.output): one.output for one in rows}
    found.pop(normal_form(row.output), None)
    return list(found.values())


def _item(choice: MultipleChoice, scores: Sequence[float]) -> RowScore:
    """Return 1 as the row's score if the option with the highest score is right, else 0; of equals the first wins."""
    if any(map(isnan, scores)):
        raise InputError(f"row {choice.row.id}: the model's log-likelihood is not a number (NaN)")
    chosen = choice.options[max(range(len(scores)), key=lambda option: scores[option])]
    return RowScore(choice.row.id, document_id(choice.row.id), float(chosen == choice.row.output), chosen)
