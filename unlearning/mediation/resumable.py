"""Measure facts on all processes, and keep each finished fact, so that a stopped trace continues where it was."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

from unlearning.errors import InputError
from unlearning.mediation.encoded_fact import EncodedFact
from unlearning.mediation.fingerprint import fingerprint
from unlearning.mediation.partial_results import PartialResults, path_of_rank, read_partial_results
from unlearning.mediation.result import FactTrace
from unlearning.mediation.tracer import Tracer
from unlearning.progress.shown import shown_progress

FACTS_TOGETHER = 4
"""Facts that share forward passes. This many may be lost when the process is killed."""


def measure_facts(
    tracer: Tracer,
    measure: Callable[[Sequence[EncodedFact], float], list[FactTrace]],
    facts: Sequence[EncodedFact],
    noise_scale: float,
    path: Path,
    fabric: Fabric,
    title: str,
) -> list[FactTrace]:
    """Return what `measure` gives for each fact: all of them on the first process, none on the others.

    The facts are measured in groups, and each process takes its share of the groups. A group of which a fact is missing
    in the file is measured again as a whole, so that its numbers are the same to the bit.
    """
    models = [parts.model for parts in (tracer.parts, tracer.base) if parts is not None]
    key = fingerprint(models, tracer.config, facts, noise_scale)
    if fabric.is_global_zero:
        kept = PartialResults(path, key)
        kept.absorb()
        finished = kept.finished
    fabric.barrier()
    if not fabric.is_global_zero:
        kept = PartialResults(path_of_rank(path, fabric.global_rank), key)
        finished = read_partial_results(path, key)
    groups = [facts[first : first + FACTS_TOGETHER] for first in range(0, len(facts), FACTS_TOGETHER)]
    own = groups[fabric.global_rank :: fabric.world_size]
    with _ending_together(fabric), shown_progress(title, sum(map(len, own))) as advance:
        for group in own:
            if not all(fact.source.id in finished for fact in group):
                kept.append(measure(group, noise_scale))
            advance(len(group))
    if not fabric.is_global_zero:
        return []
    kept.absorb()
    return [kept.finished[fact.source.id] for fact in facts]


@contextmanager
def _ending_together(fabric: Fabric) -> Iterator[None]:
    """End all processes when one of them cannot trace its facts, so that none waits for it for ever.

    Raises:
        InputError: the process's own, or one that says how many other processes failed.
    """
    failure: InputError | None = None
    try:
        yield
    except InputError as error:
        failure = error
    reduced: Any = fabric.all_reduce(torch.tensor(float(failure is not None), device=fabric.device), reduce_op="sum")
    failed = float(reduced)
    if failure is not None:
        raise failure
    if failed:
        raise InputError(f"tracing: {failed:.0f} of {fabric.world_size} processes could not trace all of their facts")
