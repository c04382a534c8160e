"""Several processes share the facts, and they end together."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest
import torch
from lightning_fabric import Fabric

from tests.mediation.trace_bench import CONFIG, FILES, ROWS, Bench, files_of
from unlearning.config.trace import TraceConfig, TraceMode
from unlearning.errors import InputError
from unlearning.mediation import trace as tracing_module
from unlearning.mediation.partial_results import path_of_rank
from unlearning.mediation.trace import EFFECTS, FINISHED, LAYERS, TraceOutcome
from unlearning.mediation.tracer import Tracer

pytestmark = pytest.mark.usefixtures("without_self_test")


@dataclass
class Process:
    """A stand-in for a fabric whose processes run one after another."""

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
        """Return the sum, of which the other processes' part is given beforehand; it counts as waiting too."""
        assert reduce_op == "sum"
        self.barriers += 1
        return tensor + self.failed_elsewhere


def in_turn(bench: Bench, out: Path, config: TraceConfig, ranks: Sequence[int], world: int) -> TraceOutcome:
    """Run a trace as several processes, the first one last, and return its outcome; the others return nothing."""
    found = None
    barriers = set()
    for rank in ranks:
        process = Process(rank, world)
        found = bench.trace(out, config, base=bench.base, fabric=cast(Fabric, process))
        assert (found is None) == (rank != 0)
        barriers.add(process.barriers)
    # A process that waits more often than another one would wait for ever.
    assert len(barriers) == 1
    assert found is not None
    return found


@pytest.mark.grid
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
    assert set(files_of(tmp_path)) == {path_of_rank(tmp_path / FINISHED, 1).name}
    assert len(measured) == 3


def test_what_several_processes_began_one_finishes(bench: Bench, measured: list[str], tmp_path: Path) -> None:
    """The first of two processes was stopped before it measured its group."""
    bench.trace(tmp_path / "whole")
    bench.trace(tmp_path / "shared", fabric=cast(Fabric, Process(1, 2)))
    assert len(measured) == 6 + 2
    bench.trace(tmp_path / "shared")
    assert len(measured) == 6 + 6
    for name in (LAYERS, EFFECTS):
        assert files_of(tmp_path / "shared")[name] == files_of(tmp_path / "whole")[name]
    assert set(files_of(tmp_path / "shared")) == set(FILES)


def test_a_failure_in_another_process_ends_this_one(bench: Bench, tmp_path: Path) -> None:
    """They end with one line, not with a broken connection or by waiting for ever."""
    process = Process(0, 3, failed_elsewhere=1.0)
    with pytest.raises(InputError, match=r"^tracing: 1 of 3 processes could not trace all of their facts$"):
        bench.trace(tmp_path, fabric=cast(Fabric, process))


def test_a_failure_here_says_its_own_reason(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is raised after the other processes know of it."""

    def failing(_tracer: Tracer, _probes: object, _scale: float) -> None:
        raise InputError("fact a: the model's scores are not finite, so it cannot be traced")

    monkeypatch.setattr(Tracer, "trace", failing)
    monkeypatch.setattr(tracing_module, "self_test", lambda _tracer: None)
    process = Process(1, 2)
    with pytest.raises(InputError, match=r"^fact a: the model's scores are not finite"):
        bench.trace(tmp_path, fabric=cast(Fabric, process))
    assert process.barriers == 2


def test_errors_are_the_same_in_every_process(bench: Bench, tmp_path: Path) -> None:
    """An error that all processes meet stops them before any waits for another."""
    wrong = [replace(row, output="@@") for row in ROWS]
    for rank in (0, 1):
        process = Process(rank, 2)
        with pytest.raises(InputError, match="knows none of 8 facts"):
            bench.trace(tmp_path, forget=wrong, fabric=cast(Fabric, process))
        assert process.barriers == 0
