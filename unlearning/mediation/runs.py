"""The runs that tracing compares: clean, corrupted and placebo, each for several facts at once.

A run is what a model is fed. The clean run is the fact's own prompt. The corrupted run is one in which the model cannot
know whom the question is about: noise on the embeddings of the subject's tokens (one row for each draw of noise),
another person's name in its place, or the same prompt fed to the model from before it memorised. The placebo run asks
about yet another person; putting its states into the corrupted run must not bring the answer back.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import DynamicCache

from unlearning.config.scope import ModuleKind
from unlearning.config.trace import Corruption, TraceConfig
from unlearning.mediation.encoded_fact import EncodedFact
from unlearning.mediation.hooks import Edit, edited_outputs
from unlearning.mediation.model_parts import ModelParts, PartKey
from unlearning.mediation.prefix import KeysValues, keys_and_values
from unlearning.mediation.scoring import answer_cells, answer_scores, answer_states


@dataclass(frozen=True)
class TracedRun:
    """What a model is fed: the same number of rows for every fact, fact by fact."""

    parts: ModelParts
    facts: tuple[EncodedFact, ...]
    ids: tuple[tuple[int, ...], ...]
    """One sequence for each fact: a prompt as long as the fact's own, and the fact's answer."""
    noise: tuple[Tensor, ...] | None = None
    """For each fact (rows, subject tokens, width), added to the embeddings; None: one row without noise."""

    @property
    def rows(self) -> int:
        """Rows of each fact."""
        return 1 if self.noise is None else len(self.noise[0])

    def tokens(self, chosen: Sequence[int], offset: int = 0, end: int | None = None) -> Tensor:
        """Return the tokens (chosen facts * rows, T) at positions `offset` to `end`, padded with each row's last one.

        The last token of the answer is not among them, since it predicts nothing that is scored.
        """
        rows = [self.ids[fact][:-1][offset:end] for fact in chosen]
        length = max(map(len, rows))
        ids = torch.tensor([[*row, *row[-1:] * (length - len(row))] for row in rows])
        return ids.repeat_interleave(self.rows, dim=0)

    def corruption(self, chosen: Sequence[int], offset: int = 0) -> dict[nn.Module, Edit]:
        """Return the edit for `hooks.edited_outputs` that adds the noise to the embeddings of the same `tokens`."""
        if self.noise is None:
            return {}
        noise = [self.noise[fact] for fact in chosen]
        spans = [self.facts[fact].subject for fact in chosen]

        def edit(hidden: Tensor) -> Tensor:
            noisy = hidden.clone()
            for place, (added, span) in enumerate(zip(noise, spans, strict=True)):
                rows = slice(place * self.rows, (place + 1) * self.rows)
                first, end = max(span[0], offset), min(span[-1] + 1, offset + hidden.shape[1])
                if first < end:
                    noisy[rows, first - offset : end - offset] += added[:, first - span[0] : end - span[0]].to(hidden)
            return noisy

        return {self.parts.embeddings: edit}


def clean_run(parts: ModelParts, facts: Sequence[EncodedFact]) -> TracedRun:
    """Return the run of the facts as they are."""
    return TracedRun(parts, tuple(facts), tuple(fact.input_ids for fact in facts))


def corrupted_run(
    parts: ModelParts, base: ModelParts | None, facts: Sequence[EncodedFact], config: TraceConfig, noise_scale: float
) -> TracedRun:
    """Return the run in which the subject is hidden, in the way that trace.corruption says."""
    if config.corruption is Corruption.replacement:
        return TracedRun(parts, tuple(facts), tuple(_about_another(fact, 0) for fact in facts))
    own = tuple(fact.input_ids for fact in facts)
    if config.corruption is Corruption.base_model:
        assert base is not None
        return TracedRun(base, tuple(facts), own)
    width = next(parts.embeddings.parameters()).shape[-1]
    noise = tuple(noise_of(fact, noise_scale, config.draws, width, config.seed) for fact in facts)
    return TracedRun(parts, tuple(facts), own, noise)


def placebo_run(parts: ModelParts, facts: Sequence[EncodedFact]) -> TracedRun:
    """Return the run of each fact's last foil: the same question about another person."""
    return TracedRun(parts, tuple(facts), tuple(_about_another(fact, -1) for fact in facts))


@dataclass(frozen=True)
class RunRecord:
    """What is kept of a run's forward pass."""

    scores: Tensor
    """(facts, rows, M), float64, on the CPU."""
    prefix: list[KeysValues]
    """Each layer's keys and values for facts * rows rows; empty where the model keeps none."""
    outputs: dict[PartKey, Tensor]
    """(facts * rows, T, width) of every part that was asked for."""


def record_run(run: TracedRun, kinds: Sequence[ModuleKind] = ()) -> RunRecord:
    """Run all facts in one forward pass, and keep the outputs of the parts of these kinds."""
    everything, parts = range(len(run.facts)), run.parts
    outputs: dict[PartKey, Tensor] = {}
    modules = {(kind, number): parts.module_of(kind, number) for kind in kinds for number in range(parts.depth)}
    ids = run.tokens(everything)
    edits = {module: _keeping(outputs, key) for key, module in modules.items()}
    cache = DynamicCache() if parts.caches else None
    facts = [fact for fact in run.facts for _ in range(run.rows)]
    cells = answer_cells(facts)
    with edited_outputs(run.corruption(everything) | edits, ids.shape[1]):
        states = answer_states(parts, ids, cells, cache)
    scores = answer_scores(parts, states, cells, facts)
    shaped = scores.double().cpu().view(len(everything), run.rows, -1)
    return RunRecord(shaped, keys_and_values(cache) if cache is not None else [], outputs)


def noise_of(fact: EncodedFact, scale: float, rows: int, width: int, seed: int) -> Tensor:
    """Return normal noise (rows, subject tokens, width) of standard deviation `scale`, in float64.

    It depends on the seed and the fact's id alone and is the same on every machine. So all states of a fact share one
    corrupted run, and neither the order of the facts nor the other facts in the batch matter.
    """
    digest = hashlib.sha256(f"{seed}:{fact.source.id}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
    return scale * torch.randn((rows, len(fact.subject), width), generator=generator, dtype=torch.float64)


def _about_another(fact: EncodedFact, foil: int) -> tuple[int, ...]:
    """Return a foil's prompt with the fact's own answer; the fact itself where it has no foil."""
    return (*fact.foils[foil], *fact.answer) if fact.foils else fact.input_ids


def _keeping(outputs: dict[PartKey, Tensor], key: PartKey) -> Edit:
    """Return an edit that keeps the output under the key and changes nothing."""

    def edit(hidden: Tensor) -> Tensor:
        outputs[key] = hidden.clone()
        return hidden

    return edit
