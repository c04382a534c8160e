"""AILS-NTUA's two methods, from the description of their released code (arXiv 2503.02443; iraklis07/llm-unlearning).

Right-padded to a multiple of 8, a new trainer a phase.
"""

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from tests.reference.plain_training import PlainTrainer, Tokens, cut, row_means, token_mean


def sugd(
    model: PreTrainedModel,
    forget: Sequence[Tokens],
    retain: Sequence[Tokens],
    *,
    chunk: int,
    ratio: int,
    factor: float,
    batch: int,
    lr: float,
    epochs: int,
    max_steps: int,
) -> list[float]:
    """Train by sequential unlearning with gradient difference, and return the losses of all steps.

    One forget row, then `ratio` retain rows from a cycle that outlives chunks, never shuffled; the loss is the mean
    over the batch of each row's token mean times -1 or `factor`.
    """
    losses: list[float] = []
    position = 0
    for start in range(0, len(forget), chunk):
        rows: list[Tokens] = []
        factors: list[float] = []
        for row in forget[start : start + chunk]:
            rows.append(row)
            factors.append(-1.0)
            for _ in range(ratio):
                rows.append(retain[position])
                factors.append(factor)
                position = (position + 1) % len(retain)
        cuts = [(rows[i : i + batch], factors[i : i + batch]) for i in range(0, len(rows), batch)]
        trainer = PlainTrainer(model, lr, epochs * len(cuts))
        for part, weights in cuts * epochs:
            if len(losses) == max_steps:
                return losses
            means = row_means(model, part, "right", multiple=8)
            losses.append(trainer.backward((means * torch.tensor(weights, dtype=means.dtype)).mean()))
            trainer.step()
    return losses


class Agad:
    """Alternating gradient ascent and descent.

    `draws` are the random numbers that nobody can restate: the rows of each epoch of each phase, in order. Which phases
    there are, how many rows each has, and all the rest is worked out here, and refused where the draws do not fit.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        forget: Sequence[Tokens],
        retain: Sequence[Tokens],
        draws: Sequence[Sequence[int]],
        max_steps: int,
    ) -> None:
        self.model, self.forget, self.retain = model, forget, retain
        self.draws = list(draws)
        self.max_steps = max_steps
        self.losses: list[float] = []

    def train(
        self,
        *,
        chunk: int,
        interleaving: float,
        fraction: float,
        ascent: tuple[float, int, int],
        annealing: tuple[float, int, int],
    ) -> list[float]:
        """Train and return all steps' losses; `ascent` and `annealing` are learning rate, epochs and batch size."""
        whole, since = len(self.forget) // chunk, 0
        for number in range(whole):
            self._phase(-1, set(range(number * chunk, (number + 1) * chunk)), chunk, *ascent)
            since += 1
            if since >= 1 / interleaving:
                self._phase(1, set(range(len(self.retain))), int(len(self.retain) * fraction), *annealing)
                since = 0
        if rest := set(range(whole * chunk, len(self.forget))):
            self._phase(-1, rest, len(rest), *ascent)
        self._phase(1, set(range(len(self.retain))), len(self.retain), *annealing)
        return self.losses

    def _phase(self, sign: int, allowed: set[int], count: int, lr: float, epochs: int, batch: int) -> None:
        source = self.forget if sign < 0 else self.retain
        orders, self.draws = self.draws[:epochs], self.draws[epochs:]
        for order in orders:
            if len(order) != count or len({*order}) != count or not {*order} <= allowed or {*order} != {*orders[0]}:
                raise ValueError(f"{order} are not {count} of {allowed}")
        trainer = PlainTrainer(self.model, lr, epochs * -(-count // batch))
        for order in orders:
            for rows in cut([source[row] for row in order], batch):
                if len(self.losses) == self.max_steps:
                    return
                self.losses.append(trainer.backward(sign * token_mean(self.model, rows, "right", multiple=8)))
                trainer.step()
