"""Causal tracing (Meng et al. 2022, arXiv 2202.05262): corrupt the subject, restore a state, score the answer.

The noise of a fact depends on the seed and the fact's id alone. All its restorations therefore share one
corrupted run, the order of facts does not matter, and the states of a fact can be rows of the same batch.
"""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from unlearning.config import TraceConfig
from unlearning.errors import InputError
from unlearning.mediation.batches import Batch, PartKey, batches, corrupting, recording
from unlearning.mediation.hooks import edited, grown
from unlearning.mediation.result import METRICS, FactTrace, Scores
from unlearning.mediation.scoring import answer_logits, answer_scores, evaluating
from unlearning.mediation.states import Site, sites_of, states_of
from unlearning.mediation.subject import Probe
from unlearning.models import anatomy


class Tracer:
    """A model opened for tracing. The model itself is left as it was, hooks and training mode included.

    Raises:
        InputError: the architecture lacks one of the kinds of parts (see `anatomy`).
    """

    def __init__(self, model: PreTrainedModel, config: TraceConfig) -> None:
        self.model = model
        self.config = config
        self.kinds = tuple(dict.fromkeys(config.kinds))
        self.blocks = anatomy.blocks(model)
        self.embeddings = anatomy.embeddings(model)
        self.parts = {
            (kind, index): anatomy.part(block, kind) for kind in self.kinds for index, block in enumerate(self.blocks)
        }

    def knows(self, probe: Probe) -> bool:
        """Whether the model, decoding greedily, begins the answer with its first token."""
        with evaluating(self.model):
            logits = answer_logits(self.model, probe, rows=1)
        return int(logits[0, 0].argmax()) == probe.answer[0]

    def noise_scale(self, probes: Sequence[Probe]) -> float:
        """Standard deviation of the noise: noise_std times that of the subjects' embeddings.

        The latter is one number, over all elements of all subject tokens' embeddings (ROME's "s3").
        """
        # By id, so that the sum's rounding does not depend on the order of the facts.
        ordered = sorted(probes, key=lambda probe: probe.fact.id)
        tokens = [probe.input_ids[position] for probe in ordered for position in probe.subject]
        with evaluating(self.model):
            vectors = self.embeddings(torch.tensor([tokens], device=self.model.device))
        return self.config.noise_std * float(vectors.double().std())

    def trace(self, probe: Probe, noise_scale: float) -> FactTrace:
        """Every state of one fact, under every draw of the noise.

        Raises:
            InputError: the scores are not finite, or a part's output is not laid out as (rows, T, width).
        """
        fact, sites = probe.fact, sites_of(probe, self.config.tokens)
        states = states_of(sites, self.kinds, len(self.blocks), self.config.window)
        shape = (self.config.draws, len(METRICS))
        corrupted = np.empty(shape)
        restored = np.empty((len(self.kinds), len(self.blocks), len(sites), *shape))
        with evaluating(self.model):
            clean, activations = self._clean_run(probe)
            noise = self._noise(probe, noise_scale)
            for batch in batches(states, self.config.draws, self.config.max_rows):
                scores = self._restored_run(probe, sites, batch, noise, activations)
                corrupted[batch.draws] = scores[0]
                for state, score in zip(batch.states, scores[1:], strict=True):
                    restored[self.kinds.index(state.kind), state.block, state.site, batch.draws] = score
        if not all(np.isfinite(values).all() for values in (clean, corrupted, restored)):
            raise InputError(f"fact {fact.id}: the model's scores are not finite, so it cannot be traced")
        return FactTrace(fact.id, fact.person, fact.relation, sites, clean, corrupted, restored)

    def _clean_run(self, probe: Probe) -> tuple[Scores, dict[PartKey, Tensor]]:
        """Scores (M,) and the outputs (T, width) of all traced parts, without noise."""
        activations: dict[PartKey, Tensor] = {}
        edits = {module: recording(activations, key) for key, module in self.parts.items()}
        with edited(edits):
            logits = answer_logits(self.model, probe, rows=1)
        return answer_scores(logits, probe)[0].numpy(), activations

    def _restored_run(
        self,
        probe: Probe,
        sites: Sequence[Site],
        batch: Batch,
        noise: Tensor,
        clean: Mapping[PartKey, Tensor],
    ) -> Scores:
        """Scores (1 + states, draws, M) of one batch, those of the corrupted run first."""
        edits = {self.embeddings: corrupting(noise[list(batch.draws)], probe.subject)}
        edits |= {self.parts[key]: edit for key, edit in batch.edits(sites, clean).items()}
        rows = len(batch.draws)
        with grown(self.blocks, batch.joining(), rows), edited(edits):
            logits = answer_logits(self.model, probe, rows)
        scores: Scores = answer_scores(logits, probe).numpy()
        return scores.reshape(1 + len(batch.states), rows, len(METRICS))

    def _noise(self, probe: Probe, noise_scale: float) -> Tensor:
        """Normal noise (draws, subject tokens, width), the same on every machine."""
        digest = hashlib.sha256(f"{self.config.seed}:{probe.fact.id}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
        width = next(self.embeddings.parameters()).shape[-1]
        shape = (self.config.draws, len(probe.subject), width)
        return noise_scale * torch.randn(shape, generator=generator, dtype=torch.float64)
