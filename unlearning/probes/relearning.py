"""The relearning probe: how much of the forgotten comes back after a few steps of plain fine-tuning?"""

import math
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

import torch
from torch import nn

from unlearning.config.optimizer import Decay, OptimizerConfig
from unlearning.config.probe import Measured, RelearnOn, RelearnRows
from unlearning.config.prompt import Supervised
from unlearning.data.encoding import encode_rows
from unlearning.data.ids import document_id
from unlearning.data.rows import Corpus, Kind, Row
from unlearning.probes.fine_tuning import FineTuning
from unlearning.probes.forget_answers import MEASURES, forget_rows, score_rows
from unlearning.probes.probe import CurveScores, DoesNotApplyError, Measurement, ProbedModel, RowScore
from unlearning.probes.weights import restored_afterwards
from unlearning.scopes.adapters import LoraScope
from unlearning.scopes.layers import AllScope

KINDS = {
    RelearnRows.all: frozenset(Kind),
    RelearnRows.questions: frozenset({Kind.QUESTION}),
    RelearnRows.completions: frozenset({Kind.COMPLETION}),
}
LR_TIMES_WIDTH = 0.02
"""Learning rate times the width of the model, for a probe whose settings name no rate."""


@dataclass(frozen=True)
class Relearning:
    """The score of forget documents after fine-tuning on other forget documents, or on documents of the retain set.

    The model is trained on all rows of ceil(fraction * D) of the D forget documents, drawn by `seed`, or of as many
    retain documents, or on those of the kind that `rows` names: cross-entropy of the answers, AdamW at a constant rate,
    `batch_rows` rows a step. The value is the mean over the other forget documents, since knowing what was just trained
    is no sign of memory. Of all `steps`, or the ends of all `epochs`, the one with the highest value counts: training
    on would make the model forget, and an attacker would stop before.

    Sources: Lynch et al. 2024 (arXiv 2402.16835), Hu et al. 2024 (arXiv 2406.13356); facts that cannot be guessed from
    trained ones: Deeb and Roger 2024 (arXiv 2410.08827); unrelated text: Lucki et al. 2024 (arXiv 2409.18025).
    """

    source: RelearnOn
    fraction: float
    rows: RelearnRows
    steps: list[int]
    epochs: int | None
    lr: float | None
    batch_rows: int
    lora_rank: int | None
    lora_alpha: float | None
    measured: Measured
    seed: int

    @property
    def title(self) -> str:
        """The number of steps or epochs, and what the model is trained on."""
        number, unit = (self.steps[-1], "step") if self.epochs is None else (self.epochs, "epoch")
        rows = "documents" if self.rows is RelearnRows.all else str(self.rows)
        trained = f"up to {number} {unit}{'s' * (number > 1)} on"
        if self.source is RelearnOn.forget:
            return f"{trained} {self.fraction:.0%} of the forget {rows}; the others are asked"
        return f"{trained} retain {rows}"

    @property
    def measure(self) -> str:
        """The measure of the model's answers."""
        return MEASURES[self.measured]

    def run(self, probed: ProbedModel) -> Measurement:
        """Return the best scores after relearning, and those after each number of steps; the weights are restored."""
        asked = forget_rows(probed.corpus, self.measured)
        trained_on = self.trained_on(probed.corpus)
        trained = {document_id(row.id) for row in trained_on if self.source is RelearnOn.forget}
        if all(document_id(row.id) in trained for row in asked):
            raise DoesNotApplyError("no forget documents are left that could be asked")
        curve: list[CurveScores] = []

        def measure_after(steps: int) -> None:
            by_trained: dict[bool, list[RowScore]] = {True: [], False: []}
            for item in score_rows(probed, asked):
                by_trained[item.document in trained].append(item)
            curve.append(CurveScores(steps, asked=by_trained[False], beside=by_trained[True]))

        measure_after(0)
        steps = self.asked_after(len(trained_on))
        with torch.random.fork_rng(), self._trainable(probed) as model:
            self._fine_tuning(probed, trained_on, steps[-1]).run(model, probed.trainer, steps, measure_after)
        best = max(curve[1:], key=lambda point: fmean(item.score for item in point.asked))
        documents = len({document_id(row.id) for row in trained_on})
        note = f"{len(trained_on)} rows of {documents} {self.source} documents, lr {self._rate(probed):.2g}"
        return Measurement(best.asked, curve=curve, notes=[note])

    def trained_on(self, corpus: Corpus) -> list[Row]:
        """Return the rows of the documents that are drawn for training.

        Raises DoesNotApplyError for a forget set of one document, without a retain set, or without rows of the kind.
        """
        forget = list(dict.fromkeys(document_id(row.id) for row in corpus.forget))
        rows = corpus.forget if self.source is RelearnOn.forget else corpus.retain
        documents = list(dict.fromkeys(document_id(row.id) for row in rows))
        count = math.ceil(self.fraction * len(forget))
        if not rows or (self.source is RelearnOn.forget and count >= len(documents)):
            raise DoesNotApplyError(
                f"the {self.source} set has {len(documents)} documents, too few to train on {count}"
            )
        drawn = set(random.Random(self.seed).sample(documents, min(count, len(documents))))
        found = [row for row in rows if document_id(row.id) in drawn and row.kind in KINDS[self.rows]]
        if not found:
            raise DoesNotApplyError(f"the {self.source} documents that were drawn have no {self.rows}")
        return found

    def asked_after(self, rows: int) -> list[int]:
        """Return the numbers of steps after which the model is asked, where it is trained on so many rows."""
        if self.epochs is None:
            return self.steps
        an_epoch = math.ceil(rows / self.batch_rows)
        return [an_epoch * epoch for epoch in range(1, self.epochs + 1)]

    def _fine_tuning(self, probed: ProbedModel, rows: list[Row], steps: int) -> FineTuning:
        prompt = replace(probed.prompt, forget_supervised=Supervised.output, retain_supervised=Supervised.output)
        assert isinstance(probed.tokenizer.pad_token_id, int)
        return FineTuning(
            rows=encode_rows(rows, probed.tokenizer, prompt),
            steps=steps,
            batch_rows=self.batch_rows,
            optimizer=OptimizerConfig(lr=self._rate(probed), decay=Decay.constant),
            seed=self.seed,
            pad=probed.tokenizer.pad_token_id,
        )

    def _rate(self, probed: ProbedModel) -> float:
        width: int = probed.model.config.get_text_config().hidden_size
        return LR_TIMES_WIDTH / width if self.lr is None else self.lr

    def adapters(self, rank: int) -> LoraScope:
        """Return the adapters that are trained where `lora_rank` is given."""
        return LoraScope(rank=rank, alpha=2.0 * rank if self.lora_alpha is None else self.lora_alpha)

    @contextmanager
    def _trainable(self, probed: ProbedModel) -> Iterator[nn.Module]:
        """Yield the model with all its weights trainable, or with new adapters; afterwards it is as it was before."""
        model = probed.model
        torch.manual_seed(self.seed)  # adapters start from random weights
        if self.lora_rank is None:
            with restored_afterwards(model, model.parameters()):
                yield AllScope().apply(model, None)
            return
        with restored_afterwards(model, []):
            adapted: Any = self.adapters(self.lora_rank).apply(model, None)
            try:
                yield adapted
            finally:
                adapted.unload()
