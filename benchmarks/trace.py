"""How much faster exact tracing is than one forward pass for each state: `python -m benchmarks.trace`.

The plain way is ROME's (tests/reference/naive_tracer.py): one pass of the clean prompt and ten noisy ones, for every
token, layer and kind. Its time is estimated: the mean of 20 passes times the number of states. These passes are spread
over the states, half of them before ours is measured and half afterwards, and their scores must equal ours. The weights
are random, since nothing here depends on their values.
"""

import json
import statistics
import time
from dataclasses import dataclass

import torch
from rich.console import Console
from rich.table import Table
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from tests.reference.naive_tracer import name_of, trace_state, window
from unlearning.config.trace import TraceConfig, TracedTokens
from unlearning.mediation.encoded_fact import EncodedFact
from unlearning.mediation.facts import Fact
from unlearning.mediation.result import FactTrace
from unlearning.mediation.runs import noise_of
from unlearning.mediation.states import State, states_of
from unlearning.mediation.tracer import Tracer

THREADS, DRAWS, SUBJECT_TOKENS, MEASURED = 2, 10, 3, 20
VOCABULARY = 1536
"""Small, so that the ratio does not hang on the logits, which the plain way makes at every token."""
TOLERANCE = 1e-4
"""Allowed difference of probabilities and log-probabilities, in float32."""
KINDS = ("layer", "mlp", "attention")


@dataclass(frozen=True)
class Case:
    """One line of the table."""

    name: str
    family: str
    layers: int
    tokens: int
    subject: int
    window: int
    rows: TracedTokens
    plain_rows: TracedTokens = TracedTokens.grid
    bar: float | None = None


OLMO_SHORT = ("olmo", 16, 20, 3)
OLMO_CHAT = ("olmo", 16, 40, 25)
LLAMA = ("llama", 32, 20, 3)
GRID, TWO_ROWS = TracedTokens.grid, TracedTokens.two_rows
CASES = (
    Case("olmo 16 layers, 20 tokens: grid", *OLMO_SHORT, 1, GRID, bar=5),
    Case("olmo 16 layers, 20 tokens: two rows", *OLMO_SHORT, 1, TWO_ROWS, bar=40),
    Case("olmo 16 layers, 20 tokens: two rows, plain too", *OLMO_SHORT, 1, TWO_ROWS, TWO_ROWS),
    Case("olmo 16 layers, 20 tokens: grid, window 10", *OLMO_SHORT, 10, GRID),
    Case("olmo 16 layers, 40 tokens: grid", *OLMO_CHAT, 1, GRID, bar=15),
    Case("olmo 16 layers, 40 tokens: two rows", *OLMO_CHAT, 1, TWO_ROWS, bar=150),
    Case("olmo 16 layers, 40 tokens: two rows, plain too", *OLMO_CHAT, 1, TWO_ROWS, TWO_ROWS),
    Case("olmo 16 layers, 40 tokens: grid, window 10", *OLMO_CHAT, 10, GRID),
    Case("llama 32 layers, 20 tokens: grid", *LLAMA, 1, GRID, bar=5),
)


def main() -> None:
    """Measure, print the table, and a last line of JSON: seconds of ours and plain, and their ratio."""
    torch.set_num_threads(THREADS)
    results = {case.name: measure(case) for case in CASES}
    table = Table(title=f"seconds a fact, {DRAWS} draws, 3 kinds, {THREADS} threads; plain from {MEASURED} passes")
    for heading in ("case", "ours", "plain", "ratio", "bar"):
        table.add_column(heading, justify="left" if heading == "case" else "right")
    for case in CASES:
        found = results[case.name]
        bar = "" if case.bar is None else f"{case.bar:g}"
        table.add_row(case.name, f"{found['ours']:.2f}", f"{found['plain']:.1f}", f"{found['ratio']:.1f}", bar)
    Console(width=100).print(table)
    print(json.dumps(results))


def measure(case: Case) -> dict[str, float]:
    """Return the seconds of both ways and their ratio, after checking that they agree."""
    model = small_model(case.family, case.layers)
    fact = random_fact(case.tokens, case.subject)
    tracer = Tracer(model, config(case.rows, case.window))
    if case.window > 1:
        tracer.restorations = tuple(item for item in tracer.restorations if item.kind == "layer" or item.window > 1)
    scale = tracer.noise_scale([fact])
    every = Tracer(model, config(case.plain_rows, case.window)).trace([fact], scale)[0]
    passes = MEASURED // 2
    sample = states(every, tracer, case)[:: max(1, len(states(every, tracer, case)) // passes)][:passes]
    before = [naive(model, case, fact, scale, every, state) for state in sample]
    start = time.perf_counter()
    tracer.trace([fact], scale)
    ours = time.perf_counter() - start
    after = [naive(model, case, fact, scale, every, state) for state in sample]
    plain_states = len(KINDS) * case.layers * (case.tokens if case.plain_rows is GRID else 2)
    plain = statistics.mean([*before, *after]) * plain_states
    return {"ours": round(ours, 4), "plain": round(plain, 4), "ratio": round(plain / ours, 2)}


def config(rows: TracedTokens, width: int) -> TraceConfig:
    """Return settings for what the plain way does: three kinds, ten draws, no placebo."""
    return TraceConfig(tokens=rows, window=width, draws=DRAWS, placebo=False)


def states(trace: FactTrace, tracer: Tracer, case: Case) -> list[tuple[int, State]]:
    """Return every state of the compared restorations, with the index of its restoration in the trace."""
    found = list(states_of(trace.sites, tracer.restorations, case.layers))
    return [(tracer.restorations.index(state.restoration), state) for state in found]


def naive(
    model: PreTrainedModel, case: Case, fact: EncodedFact, scale: float, trace: FactTrace, indexed: tuple[int, State]
) -> float:
    """Return the seconds of one plain pass. Exit with a message if its scores are not ours."""
    place, state = indexed
    kind = str(state.restoration.kind)
    layers = window(kind, state.layer, state.restoration.window, case.layers)
    restore = {name_of(case.family, kind, layer): list(state.site.positions) for layer in layers}
    noise = noise_of(fact, scale, DRAWS, model.config.hidden_size, 0).float()
    start = time.perf_counter()
    rows = trace_state(model, case.family, fact.input_ids, fact.answer_start, list(fact.subject), noise, restore)
    seconds = time.perf_counter() - start
    index = place if case.window == 1 else {"layer": 0, "mlp": 2, "attention": 4}[kind]
    ours = trace.patched[index, state.layer, trace.sites.index(state.site)]
    for row, scores in zip(rows[1:], ours, strict=True):
        if abs(row[0] - scores[0]) > TOLERANCE or abs(row[1] - scores[1]) > TOLERANCE:
            raise SystemExit(f"{case.name}: {state} differs: {row} and {scores}")
    return seconds


def small_model(family: str, layers: int) -> PreTrainedModel:
    """Return a model of width 256 with four heads, an MLP of four widths and random weights."""
    torch.manual_seed(0)
    settings = CONFIG_MAPPING[family](
        hidden_size=256,
        intermediate_size=1024,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=4,
        vocab_size=VOCABULARY,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    model: PreTrainedModel = AutoModelForCausalLM.from_config(settings, attn_implementation="sdpa")
    return model.eval()


def random_fact(tokens: int, subject: int) -> EncodedFact:
    """Return a prompt of this many tokens, three of them the subject from `subject` on, and an answer of one token."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(3, VOCABULARY, (tokens + 1,), generator=generator).tolist()
    fact = Fact("fact", "", "", 0, "", "person", "relation")
    return EncodedFact(fact, tuple(ids), range(subject, subject + SUBJECT_TOKENS), tokens)


if __name__ == "__main__":
    main()
