"""Causal tracing (Vig et al. 2020; Meng et al. 2022, arXiv 2202.05262): patch a state, score the answer.

Exact and fast: one pass of each run serves all states; a state's rows join the batch at its own layer and are fed from
its own position on; logits are computed where they are scored. See `batches`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from unlearning.config import Corruption, Direction, TraceConfig
from unlearning.errors import InputError
from unlearning.mediation.batches import Batch, Patch, batches
from unlearning.mediation.hooks import edited, grown, needed_from
from unlearning.mediation.memory import budget_gib, rows_within
from unlearning.mediation.open_model import PartKey, evaluating, open_model
from unlearning.mediation.prefix import PrefixCache
from unlearning.mediation.result import METRICS, FactTrace, Metric, Scores
from unlearning.mediation.runs import Record, Run, clean_run, noise_of, record
from unlearning.mediation.scoring import answer_cells, answer_scores, answer_states, logits_of
from unlearning.mediation.sprouts import sprout
from unlearning.mediation.states import Site, deciding_site, restorations_of, sites_of, states_of
from unlearning.mediation.subject import Probe


class Tracer:
    """A model opened for tracing. The model itself is left as it was, hooks and training mode included.

    Raises:
        InputError: the architecture lacks one of the kinds of parts (see `anatomy`), or base_model is needed and not
            given, or of another shape.
    """

    def __init__(self, model: PreTrainedModel, config: TraceConfig, base: PreTrainedModel | None = None) -> None:
        self.config = config
        self.restorations = restorations_of(config)
        kinds = (*config.kinds, *config.severed)
        self.opened = open_model(model, kinds)
        self.base = None if base is None else open_model(base, kinds)
        self.kinds = tuple(dict.fromkeys(config.kinds))
        # Asked once: a GPU's free memory changes, and with it the batches and their rounding.
        self.gib = budget_gib(config.memory_gib, self.opened.device)
        if config.corruption is Corruption.base_model:
            _require_alike(self.opened.model, None if self.base is None else self.base.model)

    @property
    def depth(self) -> int:
        """Layers of the model."""
        return len(self.opened.layers)

    def knows(self, probes: Sequence[Probe]) -> list[bool]:
        """For each, whether the model, decoding greedily, begins the answer with its first token."""
        run = clean_run(self.opened, probes)
        firsts = [replace(probe, input_ids=probe.input_ids[: probe.answer_start + 1]) for probe in probes]
        with evaluating(self.opened.model):
            states = answer_states(self.opened, run.feed(range(len(probes))), answer_cells(firsts))
            best = torch.cat([logits.argmax(-1) for logits in logits_of(self.opened, states)]).tolist()
        return [token == probe.answer[0] for token, probe in zip(best, probes, strict=True)]

    def noise_scale(self, probes: Sequence[Probe]) -> float:
        """Standard deviation of the noise: noise_std times that of the subjects' embeddings; 0 without noise.

        The latter is one number, over all elements of all subject tokens' embeddings (ROME's "s3").
        """
        if self.config.corruption is not Corruption.noise:
            return 0.0
        # By id, so that the sum's rounding does not depend on the order of the facts.
        ordered = sorted(probes, key=lambda probe: probe.fact.id)
        tokens = [probe.input_ids[position] for probe in ordered for position in probe.subject]
        with evaluating(self.opened.model):
            vectors = self.opened.embeddings(torch.tensor([tokens], device=self.opened.device))
        return self.config.noise_std * float(vectors.double().std())

    def trace(self, probes: Sequence[Probe], noise_scale: float) -> list[FactTrace]:
        """Every state of these facts, under every corrupted run.

        Patched scores are what the unpatched rows of the same batch and the patch differ by, added to the unpatched
        run's score: a batch's shape rounds half-precision numbers its own way, and so this cancels.

        Raises:
            InputError: the scores are not finite, or a part's output is laid out in an unknown way.
        """
        clean, corrupted, placebo = self.runs(probes, noise_scale)
        denoising = self.config.direction is Direction.denoising
        receiver, donor = (corrupted, clean) if denoising else (clean, corrupted)
        with evaluating(receiver.opened.model), evaluating(donor.opened.model):
            received, donated = record(receiver), record(donor, self.kinds)
            outputs = donated.outputs
            if placebo is not None:
                wrong = record(placebo, self.kinds).outputs
                outputs = {key: torch.cat([value, wrong[key]]) for key, value in outputs.items()}
            patches = [self._patches(number, probe, donor.rows, len(probes)) for number, probe in enumerate(probes)]
            found: dict[Patch, Scores] = {}
            for batch in self._batches([patch for own in patches for patch in own], probes, receiver):
                found |= self._patched(batch, receiver, received, outputs)
        runs = (donated, received) if denoising else (received, donated)
        traces = zip(probes, patches, *(run.scores.numpy() for run in runs), strict=True)
        return [self._fact_trace(probe, own, at, without, found) for probe, own, at, without in traces]

    def runs(self, probes: Sequence[Probe], noise_scale: float) -> tuple[Run, Run, Run | None]:
        """Clean, corrupted, and the clean run of another person's question, where a placebo is traced."""
        own = tuple(probe.input_ids for probe in probes)
        clean = clean_run(self.opened, probes)
        others = tuple(_about_another(probe, 0) for probe in probes)
        if self.config.corruption is Corruption.replacement:
            corrupted = Run(self.opened, tuple(probes), others)
        elif self.config.corruption is Corruption.base_model:
            assert self.base is not None
            corrupted = Run(self.base, tuple(probes), own)
        else:
            width = next(self.opened.embeddings.parameters()).shape[-1]
            draws, seed = self.config.draws, self.config.seed
            noise = tuple(noise_of(probe, noise_scale, draws, width, seed) for probe in probes)
            corrupted = Run(self.opened, tuple(probes), own, noise)
        placebo = Run(self.opened, tuple(probes), tuple(_about_another(probe, -1) for probe in probes))
        return clean, corrupted, placebo if self.config.with_placebo else None

    def _patches(self, number: int, probe: Probe, donor_rows: int, facts: int) -> list[Patch]:
        """All states with the other run's outputs, then those of the deciding site with the placebo's."""
        sites = sites_of(probe, self.config)
        states = states_of(sites, self.restorations, self.depth)
        origins = tuple(number * donor_rows + draw % donor_rows for draw in range(self.config.runs))
        patches = [Patch(number, state, origins) for state in states]
        if not self.config.with_placebo or not self._has_placebo(probe):
            return patches
        wrong = (facts * donor_rows + number,) * self.config.runs
        deciding = sites[deciding_site(sites)]
        return patches + [Patch(number, state, wrong) for state in states if state.site == deciding]

    def _has_placebo(self, probe: Probe) -> bool:
        """A replaced subject needs a third person: the second is the corrupted run itself."""
        return len(probe.foils) > (self.config.corruption is Corruption.replacement)

    def _batches(self, patches: Sequence[Patch], probes: Sequence[Probe], receiver: Run) -> Iterator[Batch]:
        """Within the memory budget, as if every row were as long as the longest; from the start without a cache."""
        lengths = [len(probe.input_ids) - 1 for probe in probes]
        first = min(patch.state.site.positions[0] for patch in patches) if receiver.opened.caches else 0
        rows = rows_within(self.gib, self.opened.model, max(lengths) - first, first)
        return batches(patches, lengths, receiver.rows, rows)

    def _patched(
        self, batch: Batch, receiver: Run, received: Record, outputs: dict[PartKey, Tensor]
    ) -> dict[Patch, Scores]:
        """Scores (D, M) of every patch of one batch."""
        opened, origins, first = receiver.opened, batch.origins(), batch.first if receiver.opened.caches else 0
        rows = [fact * receiver.rows + row for fact in batch.facts for row in range(receiver.rows)]
        prefix = [(keys[rows, :, :first], values[rows, :, :first]) for keys, values in received.prefix]
        sprouts = sprout(batch, receiver, prefix, outputs, first)
        cache = PrefixCache(prefix, [origins] * self.depth) if first else None
        base = [receiver.probes[fact] for fact in batch.facts for _ in range(receiver.rows)]
        probes = [base[origin] for origin in origins.tolist()]
        cells = answer_cells(probes)
        parts = {opened.parts[key]: edit for key, edit in batch.edits(outputs, first, self.depth).items()}
        ids = receiver.feed(batch.facts, first)
        with (
            grown([*opened.layers, opened.norm], batch.joining(), batch.entering(outputs, sprouts, first), len(rows)),
            needed_from(opened.last_mlp, int(cells[1].min()) - first, ids.shape[1]),
            edited(receiver.corruption(batch.facts, first) | parts, ids.shape[1]),
        ):
            states = answer_states(opened, ids, cells, cache, first)
        scores = answer_scores(opened, states, cells, probes).double().cpu()
        unpatched = received.scores.flatten(0, 1)[rows]
        exact = (scores - scores[origins] + unpatched[origins]).numpy()
        return {item.patch: exact[item.rows] for item in batch.placed}

    def _fact_trace(
        self, probe: Probe, patches: Sequence[Patch], clean: Scores, corrupted: Scores, found: dict[Patch, Scores]
    ) -> FactTrace:
        sites = sites_of(probe, self.config)
        states = len(self.restorations) * self.depth
        scores = np.stack([found[patch] for patch in patches])
        shape = (len(self.restorations), self.depth, -1, self.config.runs, len(METRICS))
        patched, placebo = scores[: states * len(sites)].reshape(shape), scores[states * len(sites) :].reshape(shape)
        return fact_trace(probe, sites, clean, corrupted, patched, placebo[:, :, 0] if placebo.size else None)


def fact_trace(
    probe: Probe, sites: tuple[Site, ...], clean: Scores, corrupted: Scores, patched: Scores, placebo: Scores | None
) -> FactTrace:
    """One fact's scores: clean (1, M), corrupted (D, M), patched (R, L, S, D, M), placebo (R, L, D, M).

    Raises:
        InputError: a score is NaN or infinite, save the logit difference of a fact without contrast.
    """
    for values in (clean, corrupted, patched, *(() if placebo is None else (placebo,))):
        needed = values if probe.contrast else np.delete(values, METRICS.index(Metric.LOGIT_DIFFERENCE), -1)
        if not np.isfinite(needed).all():
            raise InputError(f"fact {probe.fact.id}: the model's scores are not finite, so it cannot be traced")
    return FactTrace(
        fact=probe.fact.id,
        person=probe.fact.person,
        relation=probe.fact.relation,
        tokens=probe.texts,
        sites=sites,
        clean=clean[0],
        corrupted=corrupted,
        patched=patched,
        placebo=placebo,
    )


def _about_another(probe: Probe, place: int) -> tuple[int, ...]:
    """The probe with another person in the question; the probe itself where there is none."""
    return (*probe.foils[place], *probe.answer) if probe.foils else probe.input_ids


def _require_alike(model: PreTrainedModel, base: PreTrainedModel | None) -> None:
    if base is None:
        raise InputError("trace.corruption=base_model: needs trace.base_model, the model before it memorised")
    ours, theirs = (_dimensions(item) for item in (model, base))
    if ours != theirs:
        raise InputError(f"trace.base_model: family, layers and width are {theirs}, but those of the model are {ours}")
    shapes = {name: tuple(parameter.shape) for name, parameter in base.named_parameters()}
    for name, parameter in model.named_parameters():
        if shapes.get(name) != tuple(parameter.shape):
            found = shapes.get(name, "not there")
            raise InputError(f"trace.base_model: {name} is {found}, but in the model {tuple(parameter.shape)}")


def _dimensions(model: PreTrainedModel) -> tuple[str, int, int]:
    settings = model.config.get_text_config()
    return model.config.model_type, settings.num_hidden_layers, settings.hidden_size
