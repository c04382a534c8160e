"""A second's check, on the loaded model itself, that tracing may be trusted with its architecture."""

from dataclasses import replace

import torch

from unlearning.config import Corruption, Direction, ModuleKind, TracedTokens, TraceMode
from unlearning.errors import InputError
from unlearning.mediation.facts import Fact
from unlearning.mediation.hooks import edited
from unlearning.mediation.open_model import evaluating
from unlearning.mediation.result import METRICS, Metric
from unlearning.mediation.runs import Run, part_of, record
from unlearning.mediation.scoring import answer_cells, answer_scores, answer_states
from unlearning.mediation.subject import Probe
from unlearning.mediation.tracing import Tracer

TOLERANCE = {torch.float64: 1e-8, torch.float32: 1e-3}
HALF_PRECISION_TOLERANCE = 0.25
"""Nats; enough to tell rounding from a state that was put in the wrong place."""
PROMPT, ANSWER = 7, 2
SUBJECT = range(2, 4)


def self_test(tracer: Tracer) -> None:
    """Trace one made-up fact in three layers, fast and plainly, and compare.

    Raises:
        InputError: hooks that change nothing change something; the last layer's output, put back, is not the clean run;
            the fast way and the plain one disagree, or one of them fails: this architecture keeps something that
            tracing does not know of.
    """
    try:
        _compare(tracer)
    except InputError:
        raise
    except (RuntimeError, IndexError, KeyError, TypeError, AttributeError, ValueError) as error:
        family, reason = tracer.opened.model.config.model_type, " ".join(str(error).split())
        raise InputError(f"model_type={family}: cannot be traced exactly: {reason}") from error


def _compare(tracer: Tracer) -> None:
    family = tracer.opened.model.config.model_type
    tolerance = TOLERANCE.get(tracer.opened.dtype, HALF_PRECISION_TOLERANCE)
    probe = _made_up(tracer.opened.model.config.get_text_config().vocab_size)
    config = replace(
        tracer.config,
        mode=TraceMode.exact,
        corruption=Corruption.noise,
        direction=Direction.denoising,
        draws=2,
        window=1,
        severed=[],
        tokens=TracedTokens.subject,
        placebo=False,
    )
    small = Tracer(tracer.opened.model, config)
    scale = small.noise_scale([probe])
    (trace,) = small.trace([probe], scale)
    clean, corrupted, _ = small.runs([probe], scale)
    metric = METRICS.index(Metric.ANSWER_LOG_PROBABILITY)
    everywhere = tuple(range(PROMPT + ANSWER - 1))
    for found, wanted, what in (
        (_from_logits(clean), trace.clean[None, metric], "nothing, against the model's own logits,"),
        (_plain(clean, clean, None, (), metric), trace.clean[None, metric], "a hook that changes nothing"),
        (
            _plain(corrupted, clean, (ModuleKind.layer, small.depth - 1), everywhere, metric),
            trace.clean[None, metric].repeat(2),
            "the last layer's output",
        ),
        *(
            (
                _plain(corrupted, clean, (kind, layer), tuple(SUBJECT), metric),
                trace.patched[place, layer, 0, :, metric],
                f"{kind} of layer {layer}",
            )
            for place, kind in enumerate(small.kinds)
            for layer in sorted({0, min(1, small.depth - 1), small.depth // 2})
        ),
    ):
        apart = float(abs(found.numpy() - wanted).max())
        if not apart <= tolerance:
            raise InputError(
                f"model_type={family}: cannot be traced exactly: patching {what} is {apart:.2g} nats off where "
                f"{tolerance:g} is allowed"
            )


def _plain(
    receiver: Run, donor: Run, key: tuple[ModuleKind, int] | None, positions: tuple[int, ...], metric: int
) -> torch.Tensor:
    """Scores (rows,) of whole sequences, one part patched by a plain hook."""
    opened = receiver.opened
    with evaluating(opened.model):
        outputs = record(donor, [key[0]]).outputs if key else {}
        ids = receiver.feed([0])
        probes = [receiver.probes[0]] * len(ids)
        cells = answer_cells(probes)

        def put(hidden: torch.Tensor) -> torch.Tensor:
            patched = hidden.clone()
            if key is not None:
                patched[:, list(positions)] = outputs[key][:, list(positions)].to(hidden)
            return patched

        module = part_of(opened, *key) if key else opened.layers[0]
        with edited(receiver.corruption([0]), ids.shape[1]), edited({module: put}, ids.shape[1]):
            states = answer_states(opened, ids, cells)
        scores = answer_scores(opened, states, cells, probes)
    return scores[:, metric].double().cpu()


def _from_logits(run: Run) -> torch.Tensor:
    """Mean log-probability (1,) of the answer, by an ordinary call of the model."""
    probe, model = run.probes[0], run.opened.model
    ids = torch.tensor([probe.input_ids], device=run.opened.device)
    with evaluating(model):
        logs = model(input_ids=ids).logits[0].double().log_softmax(-1).cpu()
    places = range(probe.answer_start, len(probe.input_ids))
    return torch.stack([logs[place - 1, probe.input_ids[place]] for place in places]).mean()[None]


def _made_up(vocabulary: int) -> Probe:
    """Tokens from all over the vocabulary, always the same."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(vocabulary, (PROMPT + ANSWER,), generator=generator).tolist()
    fact = Fact("self-test", "", "", 0, "", "", "")
    return Probe(fact, tuple(ids), SUBJECT, PROMPT)
