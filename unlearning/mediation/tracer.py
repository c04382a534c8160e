"""Causal tracing: patch a state, score the answer (Vig et al. 2020; Meng et al. 2022, arXiv 2202.05262).

The result is exactly what one forward pass for each state gives (tests/reference/naive_tracer.py), but much faster:

- One forward pass of each run serves all states (`runs.record_run`).
- Many states share a batch. Their rows join it at their own layer, and they are fed from their own position on
  (`patch_batch`).
- Logits are computed only where they are scored (`scoring`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from transformers import PreTrainedModel

from unlearning.config.trace import Corruption, Direction, TraceConfig
from unlearning.mediation.base_model import require_same_shape
from unlearning.mediation.batching import batches
from unlearning.mediation.encoded_fact import EncodedFact
from unlearning.mediation.memory import budget_gib, rows_within
from unlearning.mediation.model_parts import evaluation_mode, find_parts
from unlearning.mediation.patch_batch import Patch, PatchBatch
from unlearning.mediation.patched_scores import patched_scores
from unlearning.mediation.result import METRICS, FactTrace, Scores, checked_trace
from unlearning.mediation.runs import TracedRun, clean_run, corrupted_run, placebo_run, record_run
from unlearning.mediation.scoring import answer_cells, answer_states, logits_of
from unlearning.mediation.states import deciding_site, restorations_of, sites_of, states_of


class Tracer:
    """A model that is ready for tracing. The model itself is left as it was, hooks and training mode included.

    Raises:
        InputError: the architecture lacks one of the kinds of parts (see `anatomy`), or trace.base_model is needed and
            is missing or of another shape.
    """

    def __init__(self, model: PreTrainedModel, config: TraceConfig, base: PreTrainedModel | None = None) -> None:
        self.config = config
        self.restorations = restorations_of(config)
        kinds = (*config.kinds, *config.severed)
        self.parts = find_parts(model, kinds)
        self.base = None if base is None else find_parts(base, kinds)
        self.kinds = tuple(dict.fromkeys(config.kinds))
        # Asked once: a GPU's free memory changes, and with it the batches and their rounding.
        self.gib = budget_gib(config.memory_gib, self.parts.device)
        if config.corruption is Corruption.base_model:
            require_same_shape(model, base)

    @property
    def depth(self) -> int:
        """The number of the model's layers."""
        return self.parts.depth

    def knows(self, facts: Sequence[EncodedFact]) -> list[bool]:
        """Return, for each fact, whether the model begins the answer with the right token when it decodes greedily."""
        run = clean_run(self.parts, facts)
        firsts = [replace(fact, input_ids=fact.input_ids[: fact.answer_start + 1]) for fact in facts]
        with evaluation_mode(self.parts.model):
            states = answer_states(self.parts, run.tokens(range(len(facts))), answer_cells(firsts))
            best = torch.cat([logits.argmax(-1) for logits in logits_of(self.parts, states)]).tolist()
        return [token == fact.answer[0] for token, fact in zip(best, facts, strict=True)]

    def noise_scale(self, facts: Sequence[EncodedFact]) -> float:
        """Return the noise's standard deviation: noise_std times that of the subjects' embeddings; 0 without noise."""
        # By id, so that the sum's rounding does not depend on the order of the facts.
        ordered = sorted(facts, key=lambda fact: fact.source.id)
        return self.noise_scale_of([fact.input_ids[position] for fact in ordered for position in fact.subject])

    def noise_scale_of(self, tokens: Sequence[int]) -> float:
        """Return noise_std times the standard deviation of these tokens' embeddings; 0 without noise.

        The latter is one number, over all elements of all embeddings (ROME's "s3").
        """
        if self.config.corruption is not Corruption.noise:
            return 0.0
        with evaluation_mode(self.parts.model):
            vectors = self.parts.embeddings(torch.tensor([tokens], device=self.parts.device))
        spread = float(vectors.double().std())
        return self.config.noise_std * spread

    def runs(self, facts: Sequence[EncodedFact], noise_scale: float) -> tuple[TracedRun, TracedRun]:
        """Return the clean and the corrupted run of these facts."""
        corrupted = corrupted_run(self.parts, self.base, facts, self.config, noise_scale)
        return clean_run(self.parts, facts), corrupted

    def trace(self, facts: Sequence[EncodedFact], noise_scale: float) -> list[FactTrace]:
        """Return the scores of these facts with every state patched, under every corrupted run.

        Raises:
            InputError: the scores are not finite, or a part's output has an unknown layout.
        """
        clean, corrupted = self.runs(facts, noise_scale)
        denoising = self.config.direction is Direction.denoising
        receiver, donor = (corrupted, clean) if denoising else (clean, corrupted)
        with evaluation_mode(receiver.parts.model), evaluation_mode(donor.parts.model):
            received, donated = record_run(receiver), record_run(donor, self.kinds)
            outputs = donated.outputs
            if self.config.with_placebo:
                wrong = record_run(placebo_run(self.parts, facts), self.kinds).outputs
                outputs = {key: torch.cat([value, wrong[key]]) for key, value in outputs.items()}
            patches = [self._patches(number, fact, donor.rows, len(facts)) for number, fact in enumerate(facts)]
            scores: dict[Patch, Scores] = {}
            for batch in self._batches([patch for own in patches for patch in own], facts, receiver):
                scores |= patched_scores(batch, receiver, received, outputs)
        records = (donated, received) if denoising else (received, donated)
        unpatched = zip(*(record.scores.numpy() for record in records), strict=True)
        return [
            self._fact_trace(fact, at_clean, at_corrupted, [scores[patch] for patch in own])
            for fact, own, (at_clean, at_corrupted) in zip(facts, patches, unpatched, strict=True)
        ]

    def _patches(self, number: int, fact: EncodedFact, donor_rows: int, facts: int) -> list[Patch]:
        """Return a patch for every state with the donor's outputs, then for the deciding site's with the placebo's."""
        sites = sites_of(fact, self.config)
        states = states_of(sites, self.restorations, self.depth)
        donors = tuple(number * donor_rows + draw % donor_rows for draw in range(self.config.runs))
        patches = [Patch(number, state, donors) for state in states]
        if not self.config.with_placebo or not self._has_placebo(fact):
            return patches
        wrong = (facts * donor_rows + number,) * self.config.runs
        deciding = sites[deciding_site(sites)]
        return patches + [Patch(number, state, wrong) for state in states if state.site == deciding]

    def _has_placebo(self, fact: EncodedFact) -> bool:
        """Return whether the fact has a foil for the placebo; with replacement the first foil is the corrupted run."""
        return len(fact.foils) > (self.config.corruption is Corruption.replacement)

    def _batches(
        self, patches: Sequence[Patch], facts: Sequence[EncodedFact], receiver: TracedRun
    ) -> Iterator[PatchBatch]:
        """Yield batches within the memory budget, which is reckoned as if every row were as long as the longest."""
        lengths = [len(fact.input_ids) - 1 for fact in facts]
        first = min(patch.first_position for patch in patches) if receiver.parts.caches else 0
        rows = rows_within(self.gib, self.parts.model, max(lengths) - first, first)
        return batches(patches, lengths, receiver.rows, rows)

    def _fact_trace(self, fact: EncodedFact, clean: Scores, corrupted: Scores, found: Sequence[Scores]) -> FactTrace:
        """Return one fact's trace from the scores of the clean run (1, M), the corrupted runs and all its patches."""
        sites = sites_of(fact, self.config)
        states = len(self.restorations) * self.depth * len(sites)
        scores = np.stack(found)
        shape = (len(self.restorations), self.depth, -1, self.config.runs, len(METRICS))
        patched, placebo = scores[:states].reshape(shape), scores[states:].reshape(shape)
        return checked_trace(fact, sites, clean[0], corrupted, patched, placebo[:, :, 0] if placebo.size else None)
