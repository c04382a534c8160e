"""Relearning: after how many steps of plain fine-tuning does the forgotten come back?"""

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


@dataclass(frozen=True)
class Relearning:
    """Knowledge of forget documents after fine-tuning on others, or on documents of the retain set.

    Trained on are all rows of ceil(fraction * D) of the D forget documents, drawn by `seed` (or of as many retain
    documents): cross-entropy of the answers, AdamW at a constant rate, `batch_rows` rows a step. The value is over the
    other forget documents, for to know what was just shown again is no sign of memory, and after those of `steps` at
    which it is highest: training on goes on to forget, and an attacker would stop before.

    Sources: Lynch et al. 2024 (arXiv 2402.16835), Hu et al. 2024 (arXiv 2406.13356); facts that cannot be guessed from
    those that are shown: Deeb and Roger 2024 (arXiv 2410.08827); unrelated text: Lucki et al. 2024 (arXiv 2409.18025).
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
        """Steps, and on what."""
        steps = "1 step" if self.steps[-1] == 1 else f"{self.steps[-1]} steps"
        if self.source is RelearnOn.forget:
            return f"up to {steps} on {self.fraction:.0%} of the forget documents, the others asked"
        return f"up to {steps} on retain documents"

    @property
    def measure(self) -> str:
        """Of what it knows."""
        return MEASURES[self.measured]

    def run(self, probed: ProbedModel) -> Measurement:
        """RelearningScores, train and look, put the weights back."""
        asked = forget_rows(probed.corpus, self.measured)
        trained_on = self.trained_on(probed.corpus)
        shown = {document_id(row.id) for row in trained_on if self.source is RelearnOn.forget}
        if all(document_id(row.id) in shown for row in asked):
            raise DoesNotApplyError("no forget documents are left that could be asked")
        looks: list[RelearningScores] = []

        def look(steps: int) -> None:
            items = score_rows(probed, asked)
            mine: dict[bool, list[RowScore]] = {True: [], False: []}
            for item in items:
                mine[item.document in shown].append(item)
            looks.append(RelearningScores(steps, held_out=mine[False], trained=mine[True]))

        look(0)
        with torch.random.fork_rng(), self._trainable(probed) as model:
            self._fine_tuning(probed, trained_on).run(model, probed.trainer, self.steps, look)
        best = max(looks[1:], key=lambda one: fmean(item.score for item in one.held_out))
        documents = len({document_id(row.id) for row in trained_on})
        note = f"{len(trained_on)} rows of {documents} {self.source} documents, lr {self._rate(probed):.2g}"
        return Measurement(best.held_out, curve=looks, notes=[note])

    def trained_on(self, corpus: Corpus) -> list[Row]:
        """Rows of the documents drawn. Raises DoesNotApplyError for a forget set of one document, or no retain set."""
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

    @contextmanager
    def _trainable(self, probed: ProbedModel) -> Iterator[nn.Module]:
        """The model with all its weights to be trained, or with new adapters; afterwards as it was."""
        model = probed.model
        torch.manual_seed(self.seed)  # adapters start from random weights
        if self.lora_rank is None:
            with restored_afterwards(model, model.parameters()):
                yield AllScope().apply(model, None)
            return
        with restored_afterwards(model, []):
            adapted: Any = LoraScope(rank=self.lora_rank, alpha=2.0 * self.lora_rank).apply(model, None)
            try:
                yield adapted
            finally:
                adapted.unload()
