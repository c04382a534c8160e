"""A check, on the loaded model itself, that tracing computes the right numbers for its architecture.

It takes about a second, and every trace begins with it.
"""

from collections.abc import Iterator
from dataclasses import replace

import torch

from unlearning.config.scope import ModuleKind
from unlearning.config.trace import Corruption, Direction, TracedTokens, TraceMode
from unlearning.errors import InputError
from unlearning.mediation.encoded_fact import EncodedFact
from unlearning.mediation.facts import Fact
from unlearning.mediation.hooks import edited_outputs
from unlearning.mediation.model_parts import PartKey, evaluation_mode
from unlearning.mediation.result import METRICS, Metric, Scores
from unlearning.mediation.runs import TracedRun, record_run
from unlearning.mediation.scoring import answer_cells, answer_scores, answer_states
from unlearning.mediation.tracer import Tracer

TOLERANCE = {torch.float64: 1e-8, torch.float32: 1e-3}
HALF_PRECISION_TOLERANCE = 0.25
"""In nats: above what rounding does, and below what a state in the wrong place does."""
PROMPT, ANSWER = 7, 2
SUBJECT = range(2, 4)


def self_test(tracer: Tracer) -> None:
    """Trace one made-up fact in three layers, by the tracer and by one plain hook for each patch, and compare.

    Raises:
        InputError: hooks that change nothing change something; the last layer's output, put back, does not give the
            clean run; or the two ways disagree or fail. Then this architecture has state that tracing does not know of.
    """
    try:
        _compare(tracer)
    except InputError:
        raise
    except (RuntimeError, IndexError, KeyError, TypeError, AttributeError, ValueError) as error:
        family, reason = tracer.parts.model.config.model_type, " ".join(str(error).split())
        raise InputError(f"model_type={family}: cannot be traced exactly: {reason}") from error


def _compare(tracer: Tracer) -> None:
    """Refuse, with an InputError, an architecture where one of the comparisons fails."""
    family = tracer.parts.model.config.model_type
    tolerance = TOLERANCE.get(tracer.parts.dtype, HALF_PRECISION_TOLERANCE)
    fact = _made_up_fact(tracer.parts.model.config.get_text_config().vocab_size)
    for patched, found, wanted in _comparisons(_small_tracer(tracer), fact):
        apart = float(abs(found.numpy() - wanted).max())
        if not apart <= tolerance:
            raise InputError(
                f"model_type={family}: cannot be traced exactly: patching {patched} is {apart:.2g} nats off where "
                f"{tolerance:g} is allowed"
            )


def _small_tracer(tracer: Tracer) -> Tracer:
    """Return a tracer of the same model that traces little: two draws of noise, single modules, the subject."""
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
    return Tracer(tracer.parts.model, config)


def _comparisons(tracer: Tracer, fact: EncodedFact) -> Iterator[tuple[str, torch.Tensor, Scores]]:
    """Yield what is patched, its scores by a plain hook, and the scores that they must equal."""
    scale = tracer.noise_scale([fact])
    (trace,) = tracer.trace([fact], scale)
    clean, corrupted = tracer.runs([fact], scale)
    metric = METRICS.index(Metric.ANSWER_LOG_PROBABILITY)
    clean_score = trace.clean[None, metric]
    everywhere = tuple(range(PROMPT + ANSWER - 1))
    yield "nothing, against the model's own logits,", _from_logits(clean), clean_score
    yield "a hook that changes nothing", _plain(clean, clean, None, (), metric), clean_score
    last = (ModuleKind.layer, tracer.depth - 1)
    yield "the last layer's output", _plain(corrupted, clean, last, everywhere, metric), clean_score.repeat(2)
    for place, kind in enumerate(tracer.kinds):
        for layer in sorted({0, min(1, tracer.depth - 1), tracer.depth // 2}):
            found = _plain(corrupted, clean, (kind, layer), tuple(SUBJECT), metric)
            yield f"{kind} of layer {layer}", found, trace.patched[place, layer, 0, :, metric]


def _plain(
    receiver: TracedRun, donor: TracedRun, key: PartKey | None, positions: tuple[int, ...], metric: int
) -> torch.Tensor:
    """Return the scores (rows,) of whole sequences in which a plain hook patches one part, or nothing."""
    parts = receiver.parts
    with evaluation_mode(parts.model):
        outputs = record_run(donor, [key[0]]).outputs if key else {}
        ids = receiver.tokens([0])
        facts = [receiver.facts[0]] * len(ids)
        cells = answer_cells(facts)

        def put(hidden: torch.Tensor) -> torch.Tensor:
            patched = hidden.clone()
            if key is not None:
                patched[:, list(positions)] = outputs[key][:, list(positions)].to(hidden)
            return patched

        module = parts.module_of(*key) if key else parts.layers[0]
        with edited_outputs(receiver.corruption([0]), ids.shape[1]), edited_outputs({module: put}, ids.shape[1]):
            states = answer_states(parts, ids, cells)
        scores = answer_scores(parts, states, cells, facts)
    return scores[:, metric].double().cpu()


def _from_logits(run: TracedRun) -> torch.Tensor:
    """Return the mean log-probability (1,) of the answer, by an ordinary call of the model."""
    fact, model = run.facts[0], run.parts.model
    ids = torch.tensor([fact.input_ids], device=run.parts.device)
    with evaluation_mode(model):
        logs = model(input_ids=ids).logits[0].double().log_softmax(-1).cpu()
    places = range(fact.answer_start, len(fact.input_ids))
    return torch.stack([logs[place - 1, fact.input_ids[place]] for place in places]).mean()[None]


def _made_up_fact(vocabulary: int) -> EncodedFact:
    """Return a fact of random tokens, which are always the same."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(vocabulary, (PROMPT + ANSWER,), generator=generator).tolist()
    source = Fact("self-test", "", "", 0, "", "", "")
    return EncodedFact(source, tuple(ids), SUBJECT, PROMPT)
