"""Attribution patching (Nanda 2023; Kramár et al. 2024, arXiv 2403.00745): every effect to first order, in one pass.

The indirect effect of a state is estimated as (donor - receiver) . d score / d state at the unpatched run. That is
cheap, and wrong where the score is far from linear in the state: with strong noise, and at MLPs above all. So it only
screens, and its rank correlation with exact effects is always computed beside it.
"""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from unlearning.config.trace import Direction
from unlearning.mediation.hooks import Edit, edited
from unlearning.mediation.open_model import PartKey, evaluating
from unlearning.mediation.result import METRICS, FactTrace, Metric, Scores, Screening, indirect
from unlearning.mediation.runs import Run, part_of, record
from unlearning.mediation.scoring import answer_cells, answer_scores, answer_states
from unlearning.mediation.states import Restoration, sites_of, states_of
from unlearning.mediation.subject import Probe
from unlearning.mediation.tracing import Tracer, fact_trace

AUDITED = 16
"""Facts whose exact effects the estimates are held against, at most."""


def estimate(tracer: Tracer, probes: Sequence[Probe], noise_scale: float) -> list[FactTrace]:
    """As `Tracer.trace`, with first-order estimates in place of patched scores.

    Raises:
        InputError: the scores are not finite.
    """
    clean, corrupted, _ = tracer.runs(probes, noise_scale)
    denoising = tracer.config.direction is Direction.denoising
    receiver, donor = (corrupted, clean) if denoising else (clean, corrupted)
    with evaluating(donor.opened.model), evaluating(receiver.opened.model):
        donated = record(donor, tracer.kinds)
        received, slopes = _slopes(receiver, tracer)
    first_order = {
        key: _attributions(donated.outputs[key], *slopes[key], facts=len(probes), rows=tracer.config.runs)
        for key in slopes
    }
    clean_scores, corrupted_scores = (donated.scores, received) if denoising else (received, donated.scores)
    return [
        _fact_trace(
            tracer,
            probe,
            clean_scores[number].numpy(),
            corrupted_scores[number].numpy(),
            received[number].numpy(),
            {key: parts[number] for key, parts in first_order.items()},
        )
        for number, probe in enumerate(probes)
    ]


def screening(
    estimated: Sequence[FactTrace],
    exact: Sequence[FactTrace],
    restorations: Sequence[Restoration],
    direction: Direction,
) -> Screening:
    """Spearman's correlation of estimated and exact effects of the same facts, in the answer's log-probability.

    Over layers, sites and facts, and over layers of the deciding site with the facts averaged.
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


def _slopes(receiver: Run, tracer: Tracer) -> tuple[Tensor, dict[PartKey, tuple[Tensor, list[Tensor]]]]:
    """Scores (facts, rows, M) of the unpatched run; of each part its outputs and, by metric, the scores' gradients."""
    opened, facts = receiver.opened, range(len(receiver.probes))
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
    ids = receiver.feed(facts)
    probes = [probe for probe in receiver.probes for _ in range(receiver.rows)]
    cells = answer_cells(probes)
    corruption = receiver.corruption(facts)
    with (
        torch.enable_grad(),
        edited({opened.embeddings: leaf}, ids.shape[1]),
        edited(corruption, ids.shape[1]),
        edited({part_of(opened, *key): kept(key) for key in keys}, ids.shape[1]),
    ):
        scores = answer_scores(opened, answer_states(opened, ids, cells), cells, probes)
        slopes: dict[PartKey, list[Tensor]] = {key: [] for key in keys}
        for metric in range(len(METRICS)):
            # A missing logit difference is a NaN that no gradient may come from.
            total = scores[:, metric].nan_to_num().sum()
            found = torch.autograd.grad(total, [outputs[key] for key in keys], retain_graph=True, allow_unused=True)
            for key, slope in zip(keys, found, strict=True):
                slopes[key].append(torch.zeros_like(outputs[key]) if slope is None else slope)
    shaped = scores.detach().double().cpu().view(len(facts), receiver.rows, -1)
    return shaped, {key: (outputs[key].detach(), slopes[key]) for key in keys}


def _attributions(donated: Tensor, output: Tensor, slopes: Sequence[Tensor], facts: int, rows: int) -> Scores:
    """(facts, rows, T, M): what putting in the donor's output at each token would change, to first order."""
    shape = (facts, -1, *output.shape[1:])
    given, own = (item.view(shape).double() for item in (donated.to(output.device), output))
    parts = [((given - own) * slope.view(shape).double()).sum(-1).expand(facts, rows, -1) for slope in slopes]
    found: Scores = torch.stack(parts, -1).cpu().numpy()
    return found


def _fact_trace(
    tracer: Tracer,
    probe: Probe,
    clean: Scores,
    corrupted: Scores,
    unpatched: Scores,
    first_order: dict[PartKey, Scores],
) -> FactTrace:
    """One fact's; the attributions of a site's tokens add up. Those of a window's modules would not, for a module that
    is patched layers the paths of those below it: single modules alone are screened."""
    sites = sites_of(probe, tracer.config)
    changes = []
    for state in states_of(sites, tracer.restorations, tracer.depth):
        part = first_order[state.restoration.kind, state.layer]
        changes.append(part[:, list(state.site.positions)].sum(1))
    shape = (len(tracer.restorations), tracer.depth, len(sites), tracer.config.runs, len(METRICS))
    patched = unpatched + np.stack(changes).reshape(shape)
    return fact_trace(probe, sites, clean, corrupted, patched, None)


def _effects(trace: FactTrace, restoration: int, direction: Direction) -> Scores:
    """(L, S), the corrupted runs averaged."""
    metric = METRICS.index(Metric.ANSWER_LOG_PROBABILITY)
    found: Scores = indirect(trace.patched[restoration], trace.clean, trace.corrupted, direction)[..., metric].mean(-1)
    return found


def _spearman(ours: Scores, theirs: Scores) -> float:
    """NaN where either is constant."""
    if np.ptp(ours) == 0 or np.ptp(theirs) == 0:
        return float("nan")
    return float(spearmanr(ours, theirs).statistic)
