"""Attribution patching (Nanda 2023; Kramár et al. 2024, arXiv 2403.00745): all effects estimated to first order.

The indirect effect of a state is estimated as (donor - receiver) . d score / d state at the unpatched run. One forward
and backward pass gives all of them. The estimate is wrong where the score is far from linear in the state: with strong
noise, and above all at MLPs. So it is for screening only, and its rank correlation with the exact effects of some facts
is always computed too.
"""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from unlearning.config.trace import Direction
from unlearning.mediation.encoded_fact import EncodedFact
from unlearning.mediation.hooks import Edit, edited_outputs
from unlearning.mediation.model_parts import PartKey, evaluation_mode
from unlearning.mediation.result import METRICS, FactTrace, Metric, Scores, Screening, checked_trace, indirect
from unlearning.mediation.runs import TracedRun, record_run
from unlearning.mediation.scoring import answer_cells, answer_scores, answer_states
from unlearning.mediation.states import Restoration, sites_of, states_of
from unlearning.mediation.tracer import Tracer

COMPARED = 16
"""Most facts whose exact effects the estimates are compared with."""


def estimate(tracer: Tracer, facts: Sequence[EncodedFact], noise_scale: float) -> list[FactTrace]:
    """Return the same as `Tracer.trace`, with first-order estimates in place of patched scores.

    Raises:
        InputError: the scores are not finite.
    """
    clean, corrupted = tracer.runs(facts, noise_scale)
    denoising = tracer.config.direction is Direction.denoising
    receiver, donor = (corrupted, clean) if denoising else (clean, corrupted)
    with evaluation_mode(donor.parts.model), evaluation_mode(receiver.parts.model):
        donated = record_run(donor, tracer.kinds)
        received, gradients = _scores_and_gradients(receiver, tracer)
    first_order = {
        key: _attributions(donated.outputs[key], *gradients[key], facts=len(facts), rows=tracer.config.runs)
        for key in gradients
    }
    clean_scores, corrupted_scores = (donated.scores, received) if denoising else (received, donated.scores)
    return [
        _fact_trace(
            tracer,
            fact,
            clean_scores[number].numpy(),
            corrupted_scores[number].numpy(),
            received[number].numpy(),
            {key: parts[number] for key, parts in first_order.items()},
        )
        for number, fact in enumerate(facts)
    ]


def screening(
    estimated: Sequence[FactTrace],
    exact: Sequence[FactTrace],
    restorations: Sequence[Restoration],
    direction: Direction,
) -> Screening:
    """Return Spearman's correlation of estimated and exact effects of the same facts, in the answer's log-probability.

    It is taken over layers, sites and facts; and over the layers of the deciding site, with the facts averaged.
    """
    everything: dict[str, float] = {}
    of_means: dict[str, float] = {}
    for place, restoration in enumerate(restorations):
        ours = [_effects(trace, place, direction) for trace in estimated]
        theirs = [_effects(trace, place, direction) for trace in exact]
        everything[restoration.label] = _spearman(
            np.concatenate([effects.ravel() for effects in ours]),
            np.concatenate([effects.ravel() for effects in theirs]),
        )
        deciding = [trace.sites.index(trace.deciding_site) for trace in exact]
        of_means[restoration.label] = _spearman(
            *(
                np.mean([effects[:, at] for effects, at in zip(side, deciding, strict=True)], 0)
                for side in (ours, theirs)
            )
        )
    return Screening(len(exact), everything, of_means)


def _scores_and_gradients(
    receiver: TracedRun, tracer: Tracer
) -> tuple[Tensor, dict[PartKey, tuple[Tensor, list[Tensor]]]]:
    """Return the scores (facts, rows, M) of the unpatched run, and each part's outputs with each metric's gradients."""
    parts, everything = receiver.parts, range(len(receiver.facts))
    outputs: dict[PartKey, Tensor] = {}

    def kept(key: PartKey) -> Edit:
        def edit(hidden: Tensor) -> Tensor:
            outputs[key] = hidden
            # What comes next may change its argument in place (Falcon adds the attention to it).
            return hidden.clone()

        return edit

    def leaf(hidden: Tensor) -> Tensor:
        return hidden.detach().requires_grad_()

    keys = [(kind, number) for kind in tracer.kinds for number in range(tracer.depth)]
    ids = receiver.tokens(everything)
    facts = [fact for fact in receiver.facts for _ in range(receiver.rows)]
    cells = answer_cells(facts)
    corruption = receiver.corruption(everything)
    with (
        torch.enable_grad(),
        edited_outputs({parts.embeddings: leaf}, ids.shape[1]),
        edited_outputs(corruption, ids.shape[1]),
        edited_outputs({parts.module_of(*key): kept(key) for key in keys}, ids.shape[1]),
    ):
        scores = answer_scores(parts, answer_states(parts, ids, cells), cells, facts)
        gradients: dict[PartKey, list[Tensor]] = {key: [] for key in keys}
        for metric in range(len(METRICS)):
            # A missing logit difference is a NaN that no gradient may come from.
            total = scores[:, metric].nan_to_num().sum()
            found = torch.autograd.grad(total, [outputs[key] for key in keys], retain_graph=True, allow_unused=True)
            for key, gradient in zip(keys, found, strict=True):
                gradients[key].append(torch.zeros_like(outputs[key]) if gradient is None else gradient)
    shaped = scores.detach().double().cpu().view(len(everything), receiver.rows, -1)
    return shaped, {key: (outputs[key].detach(), gradients[key]) for key in keys}


def _attributions(donated: Tensor, output: Tensor, gradients: Sequence[Tensor], facts: int, rows: int) -> Scores:
    """Return what putting in the donor's output at each token would change, to first order: (facts, rows, T, M)."""
    shape = (facts, -1, *output.shape[1:])
    given, own = (item.view(shape).double() for item in (donated.to(output.device), output))
    changes = [
        ((given - own) * gradient.view(shape).double()).sum(-1).expand(facts, rows, -1) for gradient in gradients
    ]
    found: Scores = torch.stack(changes, -1).cpu().numpy()
    return found


def _fact_trace(
    tracer: Tracer,
    fact: EncodedFact,
    clean: Scores,
    corrupted: Scores,
    unpatched: Scores,
    first_order: dict[PartKey, Scores],
) -> FactTrace:
    """Return one fact's trace; the estimates of a site's tokens are added up.

    The estimates of a window's modules must not be added up, since a patched module blocks the paths of those below it.
    So only single modules are screened.
    """
    sites = sites_of(fact, tracer.config)
    changes = []
    for state in states_of(sites, tracer.restorations, tracer.depth):
        part = first_order[state.restoration.kind, state.layer]
        changes.append(part[:, list(state.site.positions)].sum(1))
    shape = (len(tracer.restorations), tracer.depth, len(sites), tracer.config.runs, len(METRICS))
    patched = unpatched + np.stack(changes).reshape(shape)
    return checked_trace(fact, sites, clean[0], corrupted, patched, None)


def _effects(trace: FactTrace, restoration: int, direction: Direction) -> Scores:
    """Return the effects (L, S) of one restoration, the corrupted runs averaged."""
    metric = METRICS.index(Metric.ANSWER_LOG_PROBABILITY)
    found: Scores = indirect(trace.patched[restoration], trace.clean, trace.corrupted, direction)[..., metric].mean(-1)
    return found


def _spearman(ours: Scores, theirs: Scores) -> float:
    """Return Spearman's rank correlation; NaN where either side is constant."""
    if np.ptp(ours) == 0 or np.ptp(theirs) == 0:
        return float("nan")
    return float(spearmanr(ours, theirs).statistic)
