"""How much faster a training step is in bf16-mixed than in float32, on this CPU: `python -m benchmarks.precision`.

Both sides are `fit`, the training of every command, on the same model with random weights and the same official rows
($UNLEARNING_DATA) in the same steps; they differ in `trainer.precision` alone. Processors with instructions for
bfloat16 (avx512_bf16, amx_bf16) multiply faster in it, others may be slower, so measure yours. The first step warms up
and is not counted.
"""

import argparse
import json

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.shapes import SHAPES, random_model
from benchmarks.step_runs import CASES, CLOCKS, Case, rows_of, train_ours

TOLERANCE = 0.01
"""Allowed difference of a step's losses, as a share: a product in bfloat16 has 8 significant bits."""
SIDES = {"ours": "bf16-mixed", "plain": "32-true"}


def main() -> None:
    """Measure, print the table, and a last line of JSON: rows a second of both precisions, and their ratio."""
    parser = argparse.ArgumentParser(description="Training steps in bf16-mixed against float32.")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--shape", choices=SHAPES, default="smollm2_135m", help="of the model")
    parser.add_argument("--steps", type=int, default=5, help="the first ones alone, 2 or more")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: for a machine that does other work too")
    options = parser.parse_args()
    if options.steps < 2:
        parser.error(f"--steps {options.steps}: the first step is not counted, so 2 or more are needed")
    torch.set_num_threads(options.threads)
    results = {}
    table = Table("what is trained", "bf16-mixed rows/s", "32-true rows/s", "ratio", "losses apart")
    for name in options.cases:
        results[name], apart = compare(CASES[name].quick(), options)
        table.add_row(name, *(f"{value:.2f}" for value in results[name].values()), f"{apart:.1e}")
    Console().print(table)
    print(json.dumps(results))


def compare(case: Case, options: argparse.Namespace) -> tuple[dict[str, float], float]:
    """Return rows a second of both precisions with their ratio, and how far a step's losses are apart, as a share."""
    chosen = rows_of(case)
    plan = case.plan(chosen)[: options.steps]
    rows = sum(len(step.forget) + len(step.retain) for step in plan[1:])
    rates, losses = {}, {}
    for side, precision in SIDES.items():
        model = random_model(options.shape, 0)
        torch.manual_seed(0)  # adapters start from random weights
        scoped = case.scope.apply(model, None)
        losses[side], seconds = train_ours(case, scoped, plan, chosen, CLOCKS[options.clock], precision)
        rates[side] = rows / (seconds[-1] - seconds[0])
    apart = max(abs(one / other - 1) for one, other in zip(losses["ours"], losses["plain"], strict=True))
    if not apart <= TOLERANCE:
        raise SystemExit(f"error: the losses of a step are {apart:.1%} apart; at most {TOLERANCE:.0%} are allowed")
    return {**rates, "ratio": rates["ours"] / rates["plain"]}, apart


if __name__ == "__main__":
    main()
