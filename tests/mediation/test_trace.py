"""From rows to files on a tiny model that has learnt nine facts; stopping, going on, and sharing the work."""

import json
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from pyarrow import parquet
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from tests.mediation.builders import byte_level, close, deep_model, rows_of, same_state, state_of
from unlearning.config import (
    Corruption,
    Direction,
    ModuleKind,
    PromptConfig,
    SelectionRule,
    TraceConfig,
    TracedSplit,
    TracedTokens,
    TraceMode,
)
from unlearning.data.encoding import encode_rows
from unlearning.data.rows import Row, Split
from unlearning.errors import InputError
from unlearning.mediation import trace as tracing_module
from unlearning.mediation.journal import of_rank
from unlearning.mediation.layers import read_layers
from unlearning.mediation.result import METRICS, BlockGradients, Metric
from unlearning.mediation.screening import screening
from unlearning.mediation.subject import Probe
from unlearning.mediation.trace import AUDIT, EFFECTS, JOURNAL, LAYERS, Traced, trace
from unlearning.mediation.tracing import Tracer
from unlearning.models import anatomy

DEPTH = 3
NAMES = ("Goldi Aqua", "Rene Tomato", "Tiffi Magenta", "Pansy Olive")
ROWS = [row for n, name in enumerate(NAMES) for row in rows_of(n, name, (f"{n}976-03", f"{7 - n}00"))]
RETAIN = [
    replace(row, split=Split.RETAIN)
    for n, name in enumerate(("Bobby Green", "Jeana Grey"), 4)
    for row in rows_of(n, name, (f"{n}876-05", f"{9 - n}11"))
]
CONFIG = TraceConfig(facts=6, draws=2, rule=SelectionRule.top_share, value=0.4)
PROMPT = PromptConfig()
ANSWER = METRICS.index(Metric.ANSWER_LOG_PROBABILITY)
FILES = (LAYERS, EFFECTS, JOURNAL)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return byte_level([f"{row.input} {row.output}" for row in [*ROWS, *RETAIN]], 420, by_words=True, bos=False)


@pytest.fixture(scope="module")
def base(tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    """The model before it memorised."""
    made = deep_model("olmo", DEPTH, vocab_size=len(tokenizer))
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(0.1)
    return made


@pytest.fixture(scope="module")
def model(base: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    """Trained on all rows but the last forget row and the last two retain rows."""
    made = deepcopy(base)
    optimizer = torch.optim.AdamW(made.parameters(), lr=5e-3)
    encoded = encode_rows([*ROWS[:-1], *RETAIN[:2]], tokenizer, PROMPT)
    for _ in range(60):
        for row in encoded:
            ids = torch.tensor([row.input_ids])
            labels = ids.clone()
            labels[0, : row.supervised_from] = -100
            made(input_ids=ids, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return made


@dataclass(frozen=True)
class Bench:
    """The model with what tracing it needs."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    base: PreTrainedModel

    def trace(
        self,
        out: Path,
        config: TraceConfig = CONFIG,
        forget: Sequence[Row] = ROWS,
        retain: Sequence[Row] = RETAIN,
        base: PreTrainedModel | None = None,
        fabric: Fabric | None = None,
    ) -> Traced | None:
        fabric = fabric or Fabric(accelerator="cpu", devices=1)
        return trace(self.model, self.tokenizer, forget, retain, config, PROMPT, out, fabric, base)

    def traced(self, out: Path, config: TraceConfig = CONFIG, base: PreTrainedModel | None = None) -> Traced:
        found = self.trace(out, config, base=base)
        assert found is not None
        return found


@pytest.fixture
def bench(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, base: PreTrainedModel) -> Iterator[Bench]:
    """Nothing may change the model from one test to the next."""
    before = [state_of(item) for item in (model, base)]
    yield Bench(model, tokenizer, base)
    assert all(same_state(state_of(item), state) for item, state in zip((model, base), before, strict=True))


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the facts that are traced from now on, but for the self-test's."""
    ids: list[str] = []
    original = Tracer.trace

    def counting(self: Tracer, probes: Sequence[Probe], noise_scale: float) -> Any:
        ids.extend(probe.fact.id for probe in probes if probe.fact.person)
        return original(self, probes, noise_scale)

    monkeypatch.setattr(Tracer, "trace", counting)
    return ids


def content(out: Path) -> dict[str, Any]:
    """Of layers.json."""
    found: dict[str, Any] = json.loads((out / LAYERS).read_text())
    return found


def files_of(out: Path) -> dict[str, bytes]:
    """All files of a folder."""
    return {path.name: path.read_bytes() for path in out.iterdir()}


# ---------------------------------------------------------------- what is left behind


def test_files_hold_what_was_found(bench: Bench, tmp_path: Path) -> None:
    traced = bench.traced(tmp_path)
    assert set(files_of(tmp_path)) == set(FILES)
    selection, result = traced.selection, traced.result
    assert len(selection.blocks) == 1
    assert read_layers(tmp_path / LAYERS) == read_layers(tmp_path / LAYERS, DEPTH) == selection
    written = content(tmp_path)
    names = [f"model.layers.{selection.blocks[0]}.mlp.{name}_proj.weight" for name in ("gate", "up", "down")]
    assert written["parameters"]["mlp"]["names"] == names
    total = sum(parameter.numel() for parameter in bench.model.parameters())
    assert written["parameters"]["mlp"]["share"] == pytest.approx(3 * 32 * 48 / total)
    assert written["counts"]["traced"] == len(result.traces) == 6
    assert written["counts"]["persons"] == len({trace.person for trace in result.traces}) == 4
    assert set(written["baselines"]) == {"random", "first", "middle", "last", "gradient", "fisher"}
    rows = parquet.read_table(tmp_path / EFFECTS).to_pylist()
    states = 3 * DEPTH * 2
    placebos = sum(trace.placebo is not None for trace in result.traces)
    assert placebos
    assert len(rows) == states * (6 + placebos)
    assert all(row["clean_answer_log_probability"] > -1 for row in rows)
    by_fact = {trace.fact: trace for trace in result.traces}
    for row in rows:
        scores = by_fact[row["fact"]].placebo if row["placebo"] else by_fact[row["fact"]].patched[:, :, 0]
        assert scores is not None
        place = ("block", "mlp", "attention").index(row["kind"])
        assert row["answer_log_probability"] == scores[place, row["block"], row["draw"], ANSWER]


@pytest.mark.parametrize("facts", [1, 3, 5, 8, 99])
@pytest.mark.parametrize("corruption", [Corruption.noise, Corruption.replacement])
def test_counts_add_up(bench: Bench, corruption: Corruption, facts: int, tmp_path: Path) -> None:
    config = replace(CONFIG, facts=facts, corruption=corruption, rule=SelectionRule.first)
    every = bench.traced(tmp_path, replace(config, min_total_effect=-1e9)).result.traces
    totals = [float(trace.clean[ANSWER] - trace.corrupted[:, ANSWER].mean()) for trace in every]
    # A fact that loses just that much is left out.
    limit = sorted(totals)[(len(totals) - 1) // 2] if len(totals) > 1 else totals[0] - 1e-9
    bench.trace(tmp_path, replace(config, min_total_effect=limit))
    counts, left_out = content(tmp_path)["counts"], content(tmp_path)["left_out"]
    assert counts["traced"] == sum(total > limit for total in totals)
    assert counts["unmoved"] == len(left_out["unmoved"]) == sum(total <= limit for total in totals)
    assert counts["traced"] + counts["unmoved"] <= facts
    names = ("traced", "unmoved", "unknown", "without_foil", "left_over")
    assert sum(counts[name] for name in names) == len(ROWS)
    if facts == 99:
        assert counts["left_over"] == 0
        assert left_out["unknown"] == [ROWS[-1].id] or ROWS[-1].id in left_out["without_foil"]


def test_the_rows_order_does_not_matter(bench: Bench, tmp_path: Path) -> None:
    bench.trace(tmp_path / "one")
    bench.trace(tmp_path / "two", forget=ROWS[::-1], retain=RETAIN[::-1])
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


def test_facts_that_the_model_does_not_know_are_counted(bench: Bench, tmp_path: Path) -> None:
    wrong = [replace(row, output="@@") for row in ROWS[:2]]
    bench.trace(tmp_path, replace(CONFIG, facts=8), [*wrong, *ROWS[2:]])
    assert sorted(content(tmp_path)["left_out"]["unknown"]) == sorted(row.id for row in (*wrong, ROWS[-1]))
    assert content(tmp_path)["counts"]["traced"] == 5


def test_other_rows_are_passed_over(bench: Bench, tmp_path: Path) -> None:
    bench.trace(tmp_path / "one")
    bench.trace(tmp_path / "two", forget=[replace(ROWS[0], id="other", input="Why?"), *ROWS])
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


# ---------------------------------------------------------------- stopping and going on


@pytest.mark.parametrize("torn", [0, 40])
@pytest.mark.parametrize(
    ("whole", "again"), [(0, 6), (1, 6), (3, 6), (4, 2), (5, 2), (6, 0)], ids=lambda count: str(count)
)
def test_a_stopped_trace_goes_on(
    bench: Bench, measured: list[str], whole: int, again: int, torn: int, tmp_path: Path
) -> None:
    """Killed after so many facts, maybe within the next one's line: a group is measured again as a whole."""
    bench.trace(tmp_path)
    before = files_of(tmp_path)
    assert len(measured) == 6
    lines = before[JOURNAL].splitlines(keepends=True)
    assert len(lines) == 7
    rest = b"".join(lines[whole + 1 :])
    (tmp_path / JOURNAL).write_bytes(b"".join(lines[: whole + 1]) + rest[:torn])
    for name in (LAYERS, EFFECTS):
        (tmp_path / name).unlink()
    bench.trace(tmp_path)
    assert measured[6:] == measured[6 - again : 6]
    assert files_of(tmp_path) == before


@pytest.mark.parametrize("group", [1, 2])
@pytest.mark.parametrize("mode", [TraceMode.exact, TraceMode.screen])
def test_an_interruption_loses_one_group(
    bench: Bench, mode: TraceMode, group: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while a group of facts is measured: those before it are not measured again."""
    config = replace(CONFIG, facts=9, mode=mode)
    bench.trace(tmp_path / "whole", config)
    calls: list[int] = []
    place = (tracing_module, "estimate") if mode is TraceMode.screen else (Tracer, "trace")
    original = getattr(*place)

    def interrupted(tracer: Tracer, probes: Sequence[Probe], noise_scale: float) -> Any:
        if probes[0].fact.person:
            calls.append(len(probes))
            if calls == [4, 3][:group]:
                raise KeyboardInterrupt
        return original(tracer, probes, noise_scale)

    monkeypatch.setattr(*place, interrupted)
    with pytest.raises(KeyboardInterrupt):
        bench.trace(tmp_path / "stopped", config)
    assert set(files_of(tmp_path / "stopped")) == {JOURNAL}
    bench.trace(tmp_path / "stopped", config)
    assert calls == [4, 3][:group] + [4, 3][group - 1 :]
    assert files_of(tmp_path / "stopped") == files_of(tmp_path / "whole")


CHOICES: dict[str, dict[str, Any]] = {
    "rule": {"rule": SelectionRule.last},
    "kind": {"select": ModuleKind.attention},
    "value": {"value": 0.9},
    "filter": {"min_total_effect": 1e-3},
    "memory": {"memory_gib": 1e-6},
}


@pytest.mark.parametrize("changes", CHOICES.values(), ids=CHOICES)
def test_another_choice_of_blocks_traces_nothing(
    bench: Bench, measured: list[str], changes: dict[str, Any], tmp_path: Path
) -> None:
    bench.trace(tmp_path)
    journal, other = (tmp_path / JOURNAL).read_bytes(), replace(CONFIG, **changes)
    traced = bench.traced(tmp_path, other)
    assert len(measured) == 6
    assert (tmp_path / JOURNAL).read_bytes() == journal
    fresh = bench.traced(tmp_path / "fresh", replace(other, memory_gib=CONFIG.memory_gib))
    assert traced.selection == fresh.selection
    assert files_of(tmp_path / "fresh")[LAYERS] == (tmp_path / LAYERS).read_bytes()


@pytest.mark.parametrize(
    "changes",
    [{"seed": 1}, {"draws": 3}, {"window": 2}, {"tokens": TracedTokens.last}, {"placebo": False}, {"noise_std": 2.0}],
    ids=lambda changes: next(iter(changes)),
)
def test_other_settings_trace_afresh(
    bench: Bench, measured: list[str], changes: dict[str, Any], tmp_path: Path
) -> None:
    bench.trace(tmp_path)
    bench.trace(tmp_path, replace(CONFIG, **changes))
    assert len(measured) == 12
    bench.trace(tmp_path / "fresh", replace(CONFIG, **changes))
    assert files_of(tmp_path / "fresh") == {name: (tmp_path / name).read_bytes() for name in FILES}


def test_other_weights_trace_afresh(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    base: PreTrainedModel,
    measured: list[str],
    tmp_path: Path,
) -> None:
    bench = Bench(deepcopy(model), tokenizer, base)
    bench.trace(tmp_path)
    with torch.no_grad():
        for parameter in anatomy.part_parameters(anatomy.blocks(bench.model)[1], ModuleKind.mlp):
            parameter.mul_(1.001)
    bench.trace(tmp_path)
    assert len(measured) == 12


def test_another_base_traces_afresh(bench: Bench, measured: list[str], tmp_path: Path) -> None:
    config = replace(CONFIG, corruption=Corruption.base_model)
    stranger = deepcopy(bench.base)
    with torch.no_grad():
        anatomy.embeddings(stranger).weight.mul_(1.001)
    for base in (bench.base, stranger, bench.base):
        bench.trace(tmp_path, config, base=base)
    assert len(measured) == 18


def test_fewer_rows_trace_afresh(bench: Bench, measured: list[str], tmp_path: Path) -> None:
    """Other names may be put in place, and the noise is of another size."""
    bench.trace(tmp_path)
    bench.trace(tmp_path, forget=ROWS[:6])
    assert len(measured) > 6


# ---------------------------------------------------------------- several processes


@dataclass
class Process:
    """What tracing asks of a fabric, for processes that are run one after another."""

    global_rank: int
    world_size: int
    barriers: int = 0
    failed_elsewhere: float = 0.0
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def is_global_zero(self) -> bool:
        return self.global_rank == 0

    def barrier(self) -> None:
        self.barriers += 1

    def all_reduce(self, tensor: torch.Tensor, reduce_op: str) -> torch.Tensor:
        """Waits too. The other processes' part is given beforehand."""
        assert reduce_op == "sum"
        self.barriers += 1
        return tensor + self.failed_elsewhere


def in_turn(bench: Bench, out: Path, config: TraceConfig, ranks: Sequence[int], world: int) -> Traced:
    """The traces of several processes, the first one last; the others return nothing."""
    found = None
    barriers = set()
    for rank in ranks:
        process = Process(rank, world)
        found = bench.trace(out, config, base=bench.base, fabric=cast(Fabric, process))
        assert (found is None) == (rank != 0)
        barriers.add(process.barriers)
    # One that waits more often than another waits for ever.
    assert len(barriers) == 1
    assert found is not None
    return found


@pytest.mark.parametrize("mode", TraceMode)
@pytest.mark.parametrize(("ranks", "world"), [([1, 0], 2), ([2, 1, 0], 3)])
def test_processes_share_the_work(
    bench: Bench, measured: list[str], mode: TraceMode, ranks: list[int], world: int, tmp_path: Path
) -> None:
    config = replace(CONFIG, facts=9, mode=mode)
    whole = bench.trace(tmp_path / "whole", config, base=bench.base)
    alone = len(measured)
    assert whole is not None
    shared = in_turn(bench, tmp_path / "shared", config, ranks, world)
    assert shared.selection == whole.selection
    assert len(measured) == 2 * alone
    for name in (LAYERS, EFFECTS):
        assert files_of(tmp_path / "shared")[name] == files_of(tmp_path / "whole")[name]
    assert set(files_of(tmp_path / "shared")) == set(files_of(tmp_path / "whole"))


def test_weights_are_exchanged_by_one_process(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing_module, "trace_weights", lambda *_: pytest.fail("a process too many"))
    fabric = cast(Fabric, Process(1, 2))
    assert bench.trace(tmp_path, replace(CONFIG, mode=TraceMode.weights), base=bench.base, fabric=fabric) is None
    assert files_of(tmp_path) == {}


def test_another_process_writes_its_own_facts_alone(bench: Bench, measured: list[str], tmp_path: Path) -> None:
    assert bench.trace(tmp_path, replace(CONFIG, facts=7), fabric=cast(Fabric, Process(1, 2))) is None
    assert set(files_of(tmp_path)) == {of_rank(tmp_path / JOURNAL, 1).name}
    assert len(measured) == 3


def test_what_several_processes_began_one_finishes(bench: Bench, measured: list[str], tmp_path: Path) -> None:
    """The first of two never came to measure its group."""
    bench.trace(tmp_path / "whole")
    bench.trace(tmp_path / "shared", fabric=cast(Fabric, Process(1, 2)))
    assert len(measured) == 6 + 2
    bench.trace(tmp_path / "shared")
    assert len(measured) == 6 + 6
    for name in (LAYERS, EFFECTS):
        assert files_of(tmp_path / "shared")[name] == files_of(tmp_path / "whole")[name]
    assert set(files_of(tmp_path / "shared")) == set(FILES)


def test_a_failure_in_another_process_ends_this_one(bench: Bench, tmp_path: Path) -> None:
    """In one line, rather than by a broken connection or by waiting for ever."""
    process = Process(0, 3, failed_elsewhere=1.0)
    with pytest.raises(InputError, match=r"^tracing: 1 of 3 processes could not trace all of their facts$"):
        bench.trace(tmp_path, fabric=cast(Fabric, process))


def test_a_failure_here_says_its_own_reason(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the others were told."""

    def failing(_tracer: Tracer, _probes: object, _scale: float) -> None:
        raise InputError("fact a: the model's scores are not finite, so it cannot be traced")

    monkeypatch.setattr(Tracer, "trace", failing)
    monkeypatch.setattr(tracing_module, "self_test", lambda _tracer: None)
    process = Process(1, 2)
    with pytest.raises(InputError, match=r"^fact a: the model's scores are not finite"):
        bench.trace(tmp_path, fabric=cast(Fabric, process))
    assert process.barriers == 2


def test_errors_are_the_same_in_every_process(bench: Bench, tmp_path: Path) -> None:
    """What stops one stops all, before anyone waits for another."""
    wrong = [replace(row, output="@@") for row in ROWS]
    for rank in (0, 1):
        process = Process(rank, 2)
        with pytest.raises(InputError, match="begins none of 8 answers right"):
            bench.trace(tmp_path, forget=wrong, fabric=cast(Fabric, process))
        assert process.barriers == 0


# ---------------------------------------------------------------- modes and corruptions


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("corruption", Corruption)
@pytest.mark.parametrize("mode", TraceMode)
def test_every_mode(
    bench: Bench, mode: TraceMode, corruption: Corruption, direction: Direction, tmp_path: Path
) -> None:
    window = 2 if mode is TraceMode.exact else 1
    config = replace(
        CONFIG,
        mode=mode,
        corruption=corruption,
        direction=direction,
        tokens=TracedTokens.two_rows,
        window=window,
        rule=SelectionRule.first,
        min_total_effect=-1e9,
    )
    traced = bench.traced(tmp_path, config, bench.base)
    written = content(tmp_path)
    result = traced.result
    assert (written["mode"], written["corruption"], written["direction"]) == (mode, corruption, direction)
    assert (result.mode, result.direction) == (mode, direction)
    noisy = corruption is Corruption.noise and mode is not TraceMode.weights
    assert written["noise"] == result.noise
    assert (result.noise > 0) == noisy
    assert written["draws"] == (2 if noisy else 1)
    assert {item.window for item in result.restorations} == {1, window}
    groups = ["weights"] if mode is TraceMode.weights else ["last_subject", "last"]
    with_placebo = mode is TraceMode.exact and direction is Direction.denoising
    for item in result.traces:
        assert [site.group for site in item.sites] == groups
        assert item.patched.shape == (len(result.restorations), DEPTH, len(groups), 2 if noisy else 1, 4)
        assert item.placebo is None or with_placebo
        assert np.isfinite(np.delete(item.patched, METRICS.index(Metric.LOGIT_DIFFERENCE), -1)).all()
    assert any(item.placebo is not None for item in result.traces) == with_placebo
    journals = {
        TraceMode.exact: {JOURNAL},
        TraceMode.screen: {JOURNAL, AUDIT},
        TraceMode.weights: set(),
    }[mode]
    assert set(files_of(tmp_path)) == {LAYERS, EFFECTS, *journals}
    assert (written["screening"] is not None) == (mode is TraceMode.screen)
    assert read_layers(tmp_path / LAYERS) == traced.selection
    rows = parquet.read_table(tmp_path / EFFECTS).to_pylist()
    assert {row["group"] for row in rows} == set(groups)
    assert {row["draw"] for row in rows} == set(range(2 if noisy else 1))


def test_the_base_model_gives_the_corrupted_scores(bench: Bench, tmp_path: Path) -> None:
    """Those of the prompt in the model before it memorised, in both ways to use it."""
    swapped = bench.traced(tmp_path / "weights", replace(CONFIG, mode=TraceMode.weights), bench.base)
    patched = bench.traced(tmp_path / "states", replace(CONFIG, corruption=Corruption.base_model), bench.base)
    for one, other in zip(swapped.result.traces, patched.result.traces, strict=True):
        assert one.fact == other.fact
        np.testing.assert_allclose(one.clean, other.clean, rtol=0, atol=1e-5, equal_nan=True)
        np.testing.assert_allclose(one.corrupted, other.corrupted, rtol=0, atol=1e-5, equal_nan=True)
        assert one.corrupted[0, ANSWER] < one.clean[ANSWER] - 1


def test_screening_is_held_against_the_exact_effects(bench: Bench, tmp_path: Path) -> None:
    config = replace(CONFIG, rule=SelectionRule.first)
    exact = bench.traced(tmp_path / "exact", replace(config, placebo=False)).result
    screened = bench.traced(tmp_path / "screen", replace(config, mode=TraceMode.screen)).result
    assert exact.screening is None
    found = screened.screening
    assert found == screening(screened.traces, exact.traces, exact.restorations, Direction.denoising)
    assert found is not None
    assert found.facts == 6
    written = content(tmp_path / "screen")["screening"]
    assert written["correlation"] == pytest.approx(found.correlation)
    assert set(written["of_means"]) == {"block", "mlp", "attention"}
    for guess, wanted in zip(screened.traces, exact.traces, strict=True):
        assert guess.fact == wanted.fact
        assert guess.corrupted == pytest.approx(wanted.corrupted, abs=1e-5, nan_ok=True)
        assert not close(guess, wanted, 1e-3)


def test_only_some_facts_are_audited(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing_module, "AUDITED", 2)
    screened = bench.traced(tmp_path, replace(CONFIG, mode=TraceMode.screen)).result
    assert screened.screening is not None
    assert screened.screening.facts == 2
    assert len(screened.traces) == 6
    audited = [json.loads(line) for line in (tmp_path / AUDIT).read_text().splitlines()[1:]]
    assert [item["fact"] for item in audited] == [item.fact for item in screened.traces[:2]]
    assert [item["placebo"] for item in audited] == [None, None]


@pytest.mark.parametrize("split", TracedSplit)
def test_either_split_is_traced(
    bench: Bench, split: TracedSplit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the gradients are always the forget facts' over the retain facts'."""
    sides: list[list[str]] = []

    def remembering(_model: object, forget: list[Probe], retain: list[Probe], _kind: ModuleKind) -> BlockGradients:
        sides.extend([[probe.fact.id for probe in side] for side in (forget, retain)])
        return BlockGradients((1.0, 3.0, 2.0), (3.0, 2.0, 1.0))

    monkeypatch.setattr(tracing_module, "block_gradients", remembering)
    traced = bench.traced(tmp_path, replace(CONFIG, split=split))
    own = RETAIN if split is TracedSplit.retain else ROWS
    assert {item.fact for item in traced.result.traces} <= {row.id for row in own}
    assert len(traced.result.traces) == (2 if split is TracedSplit.retain else 6)
    known = sides[1 if split is TracedSplit.retain else 0]
    assert known == [item.fact for item in traced.result.traces]
    assert set(sides[0]) <= {row.id for row in ROWS}
    assert set(sides[1]) <= {row.id for row in RETAIN}
    assert traced.selection.baselines["gradient"] == (1,)
    assert traced.selection.baselines["fisher"] == (0,)


def test_a_base_that_is_no_ancestor_is_warned_of(bench: Bench, tmp_path: Path) -> None:
    stranger = deep_model("olmo", DEPTH, seed=7, vocab_size=len(bench.tokenizer))
    for mode in (TraceMode.weights, TraceMode.exact):
        config = replace(CONFIG, mode=mode, corruption=Corruption.base_model, min_total_effect=-1e9)
        config = replace(config, rule=SelectionRule.first)
        warned = bench.traced(tmp_path / "stranger", config, stranger).selection.warnings
        assert sum("does not look like the model before it memorised" in line for line in warned) == 1
        unmoved = bench.traced(tmp_path / "copy", config, deepcopy(bench.model)).selection.warnings
        assert not any("does not look like" in line for line in unmoved)


# ---------------------------------------------------------------- errors


def refused(bench: Bench, out: Path, *, message: str, keeps: Sequence[str] = (), **changes: Any) -> None:
    """One line, and nothing but what a second call goes on from."""
    with pytest.raises(InputError, match=message) as raised:
        bench.trace(out, **changes)
    assert "\n" not in str(raised.value)
    assert set(files_of(out)) == set(keeps)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "^tracing: none of the 0 rows asks an official question about a person$"),
        ([replace(ROWS[0], input="Why?")], "none of the 1 rows asks an official question about a person"),
        ([replace(row, output="@@") for row in ROWS], "begins none of 8 answers right, so it knows no fact"),
    ],
    ids=["no rows", "no facts", "no knowledge"],
)
def test_nothing_to_trace(bench: Bench, rows: list[Row], message: str, tmp_path: Path) -> None:
    refused(bench, tmp_path, message=message, forget=rows)


def test_no_other_name(bench: Bench, tmp_path: Path) -> None:
    config = replace(CONFIG, corruption=Corruption.replacement)
    message = r"^trace\.corruption=replacement: none of 2 facts has a name of as many tokens beside it$"
    refused(bench, tmp_path, message=message, config=config, forget=ROWS[:2], retain=[])


def test_nothing_moved(bench: Bench, measured: list[str], tmp_path: Path) -> None:
    """What was measured is kept for a second call."""
    config = replace(CONFIG, min_total_effect=1e6)
    message = (
        r"^tracing: the corruption costs none of 6 facts more than trace\.min_total_effect=1000000\.0 nats a token"
    )
    refused(bench, tmp_path, message=message, config=config, keeps=[JOURNAL])
    bench.trace(tmp_path)
    assert len(measured) == 6


@pytest.mark.parametrize(
    ("mode", "corruption", "setting"),
    [
        (TraceMode.exact, Corruption.base_model, r"corruption=base_model"),
        (TraceMode.screen, Corruption.base_model, r"corruption=base_model"),
        (TraceMode.weights, Corruption.noise, r"mode=weights"),
    ],
)
def test_no_base_model(bench: Bench, mode: TraceMode, corruption: Corruption, setting: str, tmp_path: Path) -> None:
    config = replace(CONFIG, mode=mode, corruption=corruption)
    message = rf"^trace\.{setting}: needs trace\.base_model, the model before it memorised$"
    refused(bench, tmp_path, message=message, config=config)


SHAPES: dict[str, Callable[[int], PreTrainedModel]] = {
    "family": lambda size: deep_model("llama", DEPTH, vocab_size=size),
    "depth": lambda size: deep_model("olmo", DEPTH + 1, vocab_size=size),
    "width": lambda size: deep_model("olmo", DEPTH, vocab_size=size, hidden_size=64),
    "inner width": lambda size: deep_model("olmo", DEPTH, vocab_size=size, intermediate_size=64),
}


@pytest.mark.parametrize("mode", [TraceMode.exact, TraceMode.screen, TraceMode.weights])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_a_base_of_another_shape(
    bench: Bench,
    measured: list[str],
    shape: Callable[[int], PreTrainedModel],
    mode: TraceMode,
    tmp_path: Path,
) -> None:
    """Before hours are spent on tracing."""
    if mode is TraceMode.weights and shape is SHAPES["family"]:
        pytest.skip("weights of equal names and shapes can be exchanged")
    config = replace(CONFIG, mode=mode, corruption=Corruption.base_model, min_total_effect=-1e9)
    refused(bench, tmp_path, message=r"^trace\.base_model", config=config, base=shape(len(bench.tokenizer)))
    assert measured == []


def test_a_rule_that_reads_gradients_needs_retain_facts(bench: Bench, tmp_path: Path) -> None:
    config = replace(CONFIG, rule=SelectionRule.gradient)
    message = r"^trace\.rule=gradient or fisher: no retain facts to take gradients of; choose another rule$"
    refused(bench, tmp_path, message=message, config=config, retain=[], keeps=[JOURNAL])
    assert bench.trace(tmp_path, config) is not None


def test_without_retain_facts_there_are_no_gradients(bench: Bench, tmp_path: Path) -> None:
    bench.trace(tmp_path, retain=[replace(RETAIN[0], input="Why?")])
    assert set(content(tmp_path)["baselines"]) == {"random", "first", "middle", "last"}


def test_gradients_that_cannot_be_compared_do_not_stop_a_rule_that_reads_none(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An MLP that gives nothing, as in a pruned model, has no gradient; the gradients are only a baseline here."""
    pruned = replace(bench, model=deepcopy(bench.model))
    with torch.no_grad():
        for parameter in anatomy.part_parameters(anatomy.blocks(pruned.model)[1], ModuleKind.mlp):
            parameter.zero_()
    monkeypatch.setattr(Tracer, "knows", lambda _self, probes: [True] * len(probes))
    config = replace(CONFIG, rule=SelectionRule.first, min_total_effect=-1e9)
    assert pruned.traced(tmp_path, config).selection.blocks == (0,)


def test_an_architecture_that_cannot_be_traced(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused before any fact is."""

    def failing(_tracer: Tracer) -> None:
        raise InputError("model_type=olmo: cannot be traced exactly")

    monkeypatch.setattr(tracing_module, "self_test", failing)
    refused(bench, tmp_path, message="^model_type=olmo: cannot be traced exactly$")
