"""The runs that are compared, clean, corrupted and placebo, for several facts at once."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import DynamicCache

from unlearning.config import ModuleKind
from unlearning.mediation.hooks import Edit, edited
from unlearning.mediation.open_model import OpenModel, PartKey
from unlearning.mediation.prefix import KeysValues, keys_and_values
from unlearning.mediation.scoring import answer_cells, answer_scores, answer_states
from unlearning.mediation.subject import Probe


@dataclass(frozen=True)
class Run:
    """What a model is fed: the same number of rows for every fact, fact by fact."""

    opened: OpenModel
    probes: tuple[Probe, ...]
    ids: tuple[tuple[int, ...], ...]
    """One sequence a fact: a prompt of the probe's length, and the probe's answer."""
    noise: tuple[Tensor, ...] | None = None
    """One a fact, (rows, subject tokens, width), added to the embeddings; None: one row without noise."""

    @property
    def rows(self) -> int:
        """Rows a fact."""
        return 1 if self.noise is None else len(self.noise[0])

    def feed(self, facts: Sequence[int], offset: int = 0, end: int | None = None) -> Tensor:
        """Tokens (facts * rows, T) of positions `offset` to `end`, shorter rows filled up with their last token.

        The answer's last token is not among them: it predicts nothing that is scored.
        """
        rows = [self.ids[fact][:-1][offset:end] for fact in facts]
        length = max(map(len, rows))
        ids = torch.tensor([[*row, *row[-1:] * (length - len(row))] for row in rows])
        return ids.repeat_interleave(self.rows, dim=0)

    def corruption(self, facts: Sequence[int], offset: int = 0) -> dict[nn.Module, Edit]:
        """For `hooks.edited`: adds the noise to the embeddings of what `feed` gives for the same facts."""
        if self.noise is None:
            return {}
        noise = [self.noise[fact] for fact in facts]
        spans = [self.probes[fact].subject for fact in facts]

        def edit(hidden: Tensor) -> Tensor:
            noisy = hidden.clone()
            for place, (added, span) in enumerate(zip(noise, spans, strict=True)):
                rows = slice(place * self.rows, (place + 1) * self.rows)
                first, end = max(span[0], offset), min(span[-1] + 1, offset + hidden.shape[1])
                if first < end:
                    noisy[rows, first - offset : end - offset] += added[:, first - span[0] : end - span[0]].to(hidden)
            return noisy

        return {self.opened.embeddings: edit}


def clean_run(opened: OpenModel, probes: Sequence[Probe]) -> Run:
    """The probes as they are."""
    return Run(opened, tuple(probes), tuple(probe.input_ids for probe in probes))


@dataclass(frozen=True)
class Record:
    """What a run leaves behind."""

    scores: Tensor
    """(facts, rows, M), float64, on the CPU."""
    prefix: list[KeysValues]
    """Each layer's keys and values of facts * rows rows; empty where the model keeps none."""
    outputs: dict[PartKey, Tensor]
    """(facts * rows, T, width) of every part that was asked for."""


def record(run: Run, kinds: Sequence[ModuleKind] = ()) -> Record:
    """One forward pass of all facts, keeping the outputs of the parts of these kinds."""
    facts, opened = range(len(run.probes)), run.opened
    outputs: dict[PartKey, Tensor] = {}
    modules = {(kind, number): part_of(opened, kind, number) for kind in kinds for number in range(len(opened.layers))}
    ids = run.feed(facts)
    edits = {module: _keeping(outputs, key) for key, module in modules.items()}
    cache = DynamicCache() if opened.caches else None
    probes = [probe for probe in run.probes for _ in range(run.rows)]
    cells = answer_cells(probes)
    with edited(run.corruption(facts) | edits, ids.shape[1]):
        states = answer_states(opened, ids, cells, cache)
    scores = answer_scores(opened, states, cells, probes)
    shaped = scores.double().cpu().view(len(facts), run.rows, -1)
    return Record(shaped, keys_and_values(cache) if cache is not None else [], outputs)


def noise_of(probe: Probe, scale: float, rows: int, width: int, seed: int) -> Tensor:
    """Normal noise (rows, subject tokens, width) of standard deviation `scale`, float64, the same on every machine.

    It depends on the seed and the fact's id alone: all states of a fact share one corrupted run, and neither the order
    nor the company of facts matters.
    """
    digest = hashlib.sha256(f"{seed}:{probe.fact.id}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
    return scale * torch.randn((rows, len(probe.subject), width), generator=generator, dtype=torch.float64)


def part_of(opened: OpenModel, kind: ModuleKind, number: int) -> nn.Module:
    """The module whose output is the part's."""
    return opened.layers[number] if kind is ModuleKind.layer else opened.parts[kind, number]


def _keeping(store: dict[PartKey, Tensor], key: PartKey) -> Edit:
    """An edit that changes nothing and keeps the output."""

    def edit(hidden: Tensor) -> Tensor:
        store[key] = hidden.clone()
        return hidden

    return edit
