"""From a plan's steps to tensors, one step at a time; each device gets its share."""

from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import IterableDataset

from unlearning.data.packing import build_packs, supervised_tokens
from unlearning.objectives.base import SetSize
from unlearning.schedules.plan import PlanStep
from unlearning.training.step_data import MicroBatch, Role, StepData, StepLayout, StepPart, TrainingRows

Item = tuple[int, Role]
Unit = tuple[Item, ...]
"""Rows that must go through the same forward pass."""


class StepDataset(IterableDataset[StepData]):
    """The steps of a plan from `start` on, for device `rank` of `world` devices.

    Device r takes every world-th row of a step, beginning with its r-th. All devices make equally many forward passes.
    """

    def __init__(
        self, plan: Sequence[PlanStep], rows: TrainingRows, layout: StepLayout, start: int, rank: int, world: int
    ) -> None:
        self.plan, self.rows, self.layout = plan, rows, layout
        self.start, self.rank, self.world = start, rank, world

    def __len__(self) -> int:
        """Return the number of steps that remain."""
        return len(self.plan) - self.start

    def __iter__(self) -> Iterator[StepData]:
        """Yield the remaining steps in the plan's order."""
        for index in range(self.start, len(self.plan)):
            yield self.build(index)

    def build(self, index: int) -> StepData:
        """Return the tensors of one step."""
        step = self.plan[index]
        parts = tuple(self._part(*units) for units in self._units_of_parts(step))
        return StepData(index=index, step=step, parts=parts, tokens=self.tokens(index))

    def tokens(self, index: int) -> int:
        """Return the number of tokens of a step's rows on all devices, prompts included."""
        units = [unit for part in self._units_of_parts(self.plan[index]) for of_set in part for unit in of_set]
        return sum(len(self.rows[number].input_ids) for unit in units for number, _ in unit)

    def pass_shapes(self, index: int) -> Iterator[tuple[int, int]]:
        """Yield the number of packs and the tokens of a pack of each forward pass of a step, without its tensors."""
        for forget, retain in self._units_of_parts(self.plan[index]):
            for together in (retain, forget) if self.layout.retain_first else (forget + retain,):
                for units in self._forward_passes(together[self.rank :: self.world]):
                    lengths = [len(self.rows[number].input_ids) for unit in units for number, _ in unit]
                    packs = self.layout.packs_of(lengths)
                    yield len(packs), max(sum(lengths[row] for row in pack) for pack in packs)

    def _units_of_parts(self, step: PlanStep) -> Iterator[tuple[list[Unit], list[Unit]]]:
        """Yield the forget and the retain units of each part of a step."""
        forget_from, retain_from = 0, 0
        for forget_rows, retain_rows in step.parts or ((len(step.forget), len(step.retain)),):
            forget = step.forget[forget_from : forget_from + forget_rows]
            retain = step.retain[retain_from : retain_from + retain_rows]
            forget_from, retain_from = forget_from + forget_rows, retain_from + retain_rows
            yield self._units(forget, retain)

    def _units(self, forget: Sequence[int], retain: Sequence[int]) -> tuple[list[Unit], list[Unit]]:
        rows = self.rows
        units: list[Unit] = []
        for row in forget if self.layout.uses_forget else ():
            own: Item = (rows.number(Role.FORGET, row), Role.FORGET)
            units.append((own, (rows.number(Role.REFUSAL, row), Role.REFUSAL)) if rows.refusals else (own,))
        used = retain if self.layout.uses_retain else ()
        return units, [((rows.number(Role.RETAIN, row), Role.RETAIN),) for row in used]

    def _part(self, forget: list[Unit], retain: list[Unit]) -> StepPart:
        first, rest = (retain, forget) if self.layout.retain_first else ([], forget + retain)
        return StepPart(
            retain_first=self._micro_batches(first),
            rest=self._micro_batches(rest),
            forget_size=self._size(forget),
            retain_size=self._size(retain),
        )

    def _micro_batches(self, units: list[Unit]) -> tuple[MicroBatch, ...]:
        if not units:
            return ()
        shares = [units[rank :: self.world] for rank in range(self.world)]
        passes_of_devices = [self._forward_passes(share) for share in shares]
        most = max(len(passes) for passes in passes_of_devices)
        own = [self._micro_batch(units_of_pass, True) for units_of_pass in passes_of_devices[self.rank]]
        # Devices exchange gradients at every pass, so a device with fewer rows makes passes that do not count.
        own += [self._micro_batch(units[:1], False) for _ in range(most - len(own))]
        return tuple(own)

    def _forward_passes(self, share: list[Unit]) -> list[list[Unit]]:
        """Return the units of each forward pass of one device."""
        passes: list[list[Unit]] = []
        for has_prefix in (True, False):
            units = [
                unit for unit in share if all(number in self.layout.prefix_rows for number, _ in unit) is has_prefix
            ]
            lengths = [[len(self.rows[number].input_ids) for number, _ in unit] for unit in units]
            passes += [[units[index] for index in chosen] for chosen in self.layout.passes(lengths)]
        return passes

    def _micro_batch(self, units: list[Unit], counts: bool) -> MicroBatch:
        items = [item for unit in units for item in unit]
        encoded = [self.rows[number] for number, _ in items]
        layout = self.layout.packs_of([len(row.input_ids) for row in encoded])
        tokens = [float(supervised_tokens(row)) if counts else 0.0 for row in encoded]
        return MicroBatch(
            packs=build_packs(encoded, layout, self.layout.pad),
            roles=torch.tensor([int(role) for _, role in items]),
            row_tokens=torch.tensor(tokens),
            numbers=tuple(number for number, _ in items),
            layout=tuple(map(tuple, layout)),
        )

    def _size(self, units: Sequence[Unit]) -> SetSize:
        return SetSize(rows=len(units), tokens=sum(supervised_tokens(self.rows[unit[0][0]]) for unit in units))
