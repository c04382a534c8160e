"""A plan in words, for the terminal."""

import shutil
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

from unlearning.plan.machine import Machine
from unlearning.plan.memory import GIB, Memory
from unlearning.plan.rates import expected_seconds
from unlearning.plan.run_plan import RunPlan
from unlearning.plan.work import Work
from unlearning.progress.shown import duration


def plan_lines(
    plan: RunPlan, machine: Machine, stages: Mapping[str, Mapping[str, Work]], rates: Mapping[str, float], disk: Path
) -> list[str]:
    """Return the lines of a plan. `stages` has the work of each stage by part, `disk` is a folder on the run's disk."""
    return [
        *_rows_and_steps(plan),
        _weights(plan),
        *_memory(plan, machine),
        _disk(plan, disk),
        *_time(stages, rates),
    ]


def _rows_and_steps(plan: RunPlan) -> list[str]:
    rows, tokens = plan.planned.rows, plan.row_tokens
    longest = max(map(len, (row.input_ids for of_set in (rows.forget, rows.retain) for row in of_set)), default=0)
    sizes = f"{len(rows.forget):,} forget, {len(rows.retain):,} retain"
    return [
        f"rows      {sizes}: {tokens:,} tokens, {longest} in the longest",
        f"steps     {len(plan.steps):,} of {len(plan.planned.steps):,}",
    ]


def _weights(plan: RunPlan) -> str:
    counts = plan.counts
    trained = f"weights   {counts.trained:,} of {counts.total:,} trained ({counts.trained / counts.total:.1%})"
    return f"{trained}, if the trace chose all layers" if plan.all_layers else trained


def _memory(plan: RunPlan, machine: Machine) -> list[str]:
    parts = [f"{part.name} {_gib(getattr(plan.memory, part.name))}" for part in fields(Memory)]
    unknown = "" if plan.memory.activations else " (activations of this architecture are not known)"
    there = f"{machine.devices} x {_gib(machine.device_bytes)} GiB on {machine.name}"
    return [
        f"memory    {_gib(plan.memory.total)} GiB to train: {', '.join(parts)}{unknown}",
        f"          {_gib(plan.scoring_bytes)} to score, {_gib(plan.host_bytes)} more in CPU memory; {there}",
    ]


def _disk(plan: RunPlan, folder: Path) -> str:
    need, free = plan.disk, shutil.disk_usage(folder).free
    return (
        f"disk      {_gib(need.checkpoints)} GiB of checkpoints, {_gib(need.result)} of weights; {_gib(free)} are free"
    )


def _time(stages: Mapping[str, Mapping[str, Work]], rates: Mapping[str, float]) -> list[str]:
    """Return a line for each stage, with its time where a finished run of such a model measured the rates here."""
    lines = []
    for place, (name, work) in enumerate(stages.items()):
        seconds = expected_seconds(work, rates)
        time = "no rate measured here yet" if seconds is None else duration(seconds)
        flops = sum(part.flops for part in work.values())
        lines.append(f"{'work' if not place else '':10}{name}: {flops:.2g} operations, {time}")
    return lines


def _gib(size: float) -> str:
    return f"{size / GIB:.2f}" if size < 10 * GIB else f"{size / GIB:.1f}"
