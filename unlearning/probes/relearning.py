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
from unlearning.config.probe import Measured, RelearnOn
from unlearning.config.prompt import Supervised
from unlearning.data.encoding import encode_rows
from unlearning.data.ids import document_id
from unlearning.data.rows import Corpus, Row
from unlearning.probes.fine_tuning import FineTuning
from unlearning.probes.forget_answers import MEASURES, forget_rows, score_rows
from unlearning.probes.probe import DoesNotApplyError, Measurement, ProbedModel, RelearningScores, RowScore
from unlearning.probes.weights import restored_afterwards
from unlearning.scopes.adapters import LoraScope
from unlearning.scopes.layers import AllScope

LR_TIMES_WIDTH = 0.02
"""Learning rate times the width of the model, for a probe whose settings name no rate."""


@dataclass(frozen=True)
class Relearning:
    """The score of forget documents after fine-tuning on other forget documents, or on documents of the retain set.

    The model is trained on all rows of ceil(fraction * D) of the D forget documents, drawn by `seed`, or of as many
    retain documents: cross-entropy of the answers, AdamW at a constant rate, `batch_rows` rows a step. The value is the
    mean over the other forget documents, since knowing what was just trained is no sign of memory. Of all `steps` the
    one with the highest value counts: training on would make the model forget, and an attacker would stop before.

    Sources: Lynch et al. 2024 (arXiv 2402.16835), Hu et al. 2024 (arXiv 2406.13356); facts that cannot be guessed from
    trained ones: Deeb and Roger 2024 (arXiv 2410.08827); unrelated text: Lucki et al. 2024 (arXiv 2409.18025).
    """

    source: RelearnOn
    fraction: float
    steps: list[int]
    lr: float | None
    batch_rows: int
    lora_rank: int | None
    measured: Measured
    seed: int

    @property
    def title(self) -> str:
        """The number of steps, and what the model is trained on."""
        steps = "1 step" if self.steps[-1] == 1 else f"{self.steps[-1]} steps"
        if self.source is RelearnOn.forget:
            return f"up to {steps} on {self.fraction:.0%} of the forget documents; the others are asked"
        return f"up to {steps} on retain documents"

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
        curve: list[RelearningScores] = []

        def measure_after(steps: int) -> None:
            by_trained: dict[bool, list[RowScore]] = {True: [], False: []}
            for item in score_rows(probed, asked):
                by_trained[item.document in trained].append(item)
            curve.append(RelearningScores(steps, held_out=by_trained[False], trained=by_trained[True]))

        measure_after(0)
        with torch.random.fork_rng(), self._trainable(probed) as model:
            self._fine_tuning(probed, trained_on).run(model, probed.trainer, self.steps, measure_after)
        best = max(curve[1:], key=lambda point: fmean(item.score for item in point.held_out))
        documents = len({document_id(row.id) for row in trained_on})
        note = f"{len(trained_on)} rows of {documents} {self.source} documents, lr {self._rate(probed):.2g}"
        return Measurement(best.held_out, curve=curve, notes=[note])

    def trained_on(self, corpus: Corpus) -> list[Row]:
        """Return the rows of the documents that are drawn for training.

        Raises DoesNotApplyError for a forget set of one document, or without a retain set.
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
        return [row for row in rows if document_id(row.id) in drawn]

    def _fine_tuning(self, probed: ProbedModel, rows: list[Row]) -> FineTuning:
        prompt = replace(probed.prompt, forget_supervised=Supervised.output, retain_supervised=Supervised.output)
        assert isinstance(probed.tokenizer.pad_token_id, int)
        return FineTuning(
            rows=encode_rows(rows, probed.tokenizer, prompt),
            steps=self.steps[-1],
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
        return LoraScope(rank=rank, alpha=2.0 * rank)

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
