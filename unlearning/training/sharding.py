"""Shards weights, gradients and moments over devices, for models that do not fit on one device.

This is FSDP2 (torch.distributed.fsdp.fully_shard): a device holds all weights of a layer only while the layer is run.
Lightning's own "fsdp" wraps the whole training step into one forward pass, so that a step cannot have several backward
passes, which ours needs; this strategy shards the model alone.
"""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import cast

import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import ModelParallelStrategy
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, Replicate
from transformers import PreTrainedModel

from unlearning.context import on_main_process
from unlearning.models import anatomy
from unlearning.training.row_model import plain_model


class ShardedStrategy(ModelParallelStrategy):
    """Shards over the devices of one computer; each computer has all shards."""

    def __init__(self, precision: str) -> None:
        """`precision` is Lightning's name: with bf16-mixed, shards are in float32, and whole layers in bfloat16."""
        # The mesh is computers by devices of each; Lightning's names for the two dimensions are those of another use.
        super().__init__(data_parallel_size="auto", tensor_parallel_size="auto")
        self.policy = MixedPrecisionPolicy(
            param_dtype=torch.bfloat16 if precision == "bf16-mixed" else None,
            reduce_dtype=torch.float32 if precision.startswith("bf16") else None,
        )
        self.shards: Shards | None = None

    def setup(self, trainer: pl.Trainer) -> None:
        """Shard the model, then make the optimiser, so that it gets the shards."""
        assert self.accelerator is not None
        assert self.lightning_module is not None
        self.accelerator.setup(trainer)
        self.model = self.precision_plugin.convert_module(self.lightning_module)
        self.shards = Shards(cast(nn.Module, self.lightning_module.model))
        mesh = self.device_mesh if self.num_nodes > 1 else self.device_mesh["tensor_parallel"]
        self.shards.spread(mesh, self.policy, self.root_device)
        self.model_to_device()
        self.barrier()
        self.setup_optimizers(trainer)
        self.setup_precision_plugin()

    def on_train_end(self) -> None:
        """Put the whole model together for the main process; the other processes have no weights any more."""
        assert self.shards is not None
        self.shards.gather(self.is_global_zero)


class Shards:
    """A model that is sharded, and later put together again, in place."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        empty = {id(p): nn.Parameter(torch.empty_like(p, device="meta"), p.requires_grad) for p in model.parameters()}
        # The memo makes deepcopy believe that it has copied the weights already, so it copies none.
        self.before = deepcopy(model, empty)

    def spread(self, mesh: DeviceMesh, policy: MixedPrecisionPolicy, device: torch.device) -> None:
        """Shard each layer, and the modules outside of them that are trained, over a mesh; all devices together.

        The values are those of the main process, and only one module at a time is whole on the other devices.
        All devices must exchange weights in the same order and equally often. The head is not used equally often on
        all devices, so a frozen head is not sharded: it stays whole on every device.
        """
        inside = plain_model(self.model)
        layers = anatomy.layers(inside)
        # Not the parameters themselves: the whole weights of a layer would live on after it is sharded.
        in_layers = {id(parameter) for layer in layers for parameter in layer.parameters()}
        outside = {parameter for parameter in inside.parameters() if id(parameter) not in in_layers}
        kept = {parameter for parameter in outside if not parameter.requires_grad}
        parts: list[nn.Module] = list(layers)
        if _head_is_frozen(inside):
            parts += [module for module in inside.modules() if outside.difference(kept).intersection(_own(module))]
        else:
            kept = set()
        for part in parts:
            take_from_main(part, device)
            fully_shard(part, mesh=mesh, mp_policy=policy, reshard_after_forward=True, ignored_params=kept)
        take_from_main(inside, device)
        fully_shard(inside, mesh=mesh, mp_policy=policy, ignored_params=kept)

    def gather(self, keep: bool) -> None:
        """Give the model its whole weights back, on the CPU, and its former class; all devices together.

        Without `keep`, the weights are left on the meta device.
        """
        as_shards(self.model)
        empty = dict(self.before.named_parameters())
        whole: dict[nn.Parameter, nn.Parameter] = {}
        for name, parameter in self.model.named_parameters():
            found = whole_tensor(parameter.detach())
            if keep:
                whole[empty[name]] = nn.Parameter(found.cpu(), parameter.requires_grad)
        for module in self.before.modules():
            for name, parameter in module.named_parameters(recurse=False, remove_duplicate=False):
                setattr(module, name, whole.get(parameter, parameter))
        self.before.train(self.model.training)
        self.model.__class__ = self.before.__class__
        vars(self.model).clear()
        vars(self.model).update(vars(self.before))


def take_from_main(module: nn.Module, device: torch.device) -> None:
    """Give a module the main process's values, whole and on the device, but for its shards; all devices together."""
    for tensor in (*module.parameters(), *module.buffers()):
        if isinstance(tensor, DTensor):
            continue
        empty = tensor.is_meta
        whole = torch.empty(tensor.shape, dtype=tensor.dtype, device=device) if empty else tensor.detach().to(device)
        whole = whole.contiguous()
        # Not every type can be sent, but bytes can.
        torch.distributed.broadcast(whole.reshape(-1).view(torch.uint8), src=0)
        if empty:
            # In place, because several modules may share the tensor.
            torch.utils.swap_tensors(tensor, _like(tensor, whole))  # type: ignore[no-untyped-call]
        else:
            tensor.data = whole


def _like(tensor: Tensor, values: Tensor) -> Tensor:
    return nn.Parameter(values, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else values


def whole_tensor(tensor: Tensor) -> Tensor:
    """Return all of a tensor that may be sharded; all devices together."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def sharded_like(tensor: Tensor, other: Tensor) -> Tensor:
    """Return this device's share of a tensor that is whole on each device, as `other` is sharded (or not)."""
    if not isinstance(other, DTensor):
        return tensor.to(other.device)
    return DTensor.from_local(
        tensor.to(other.device), other.device_mesh, [Replicate()] * other.device_mesh.ndim, run_check=False
    ).redistribute(other.device_mesh, other.placements)


@dataclass(frozen=True)
class Part:
    """Which part of all weights and moments a device writes."""

    number: int
    count: int


def own_part(model: nn.Module) -> Part | None:
    """Return this device's part of a checkpoint; None where others write all that it has.

    Whole weights are the main process's to write. Shards are written by the devices of the first computer, which have
    all of them.
    """
    sharded = [parameter for parameter in model.parameters() if isinstance(parameter, DTensor)]
    if not sharded:
        return Part(0, 1) if on_main_process() else None
    mesh = sharded[0].device_mesh
    *computers, number = mesh.get_coordinate() or ()
    return None if any(computers) else Part(number, mesh.size(-1))


def own_shard(tensor: Tensor, part: Part) -> Tensor | None:
    """Return what a device writes of a tensor: its shard, or all of a whole tensor on the first device, else None."""
    if isinstance(tensor, DTensor):
        return tensor.to_local()
    return tensor if part.number == 0 else None


def as_shards(model: nn.Module) -> None:
    """Make the model's parameters its shards again, which are what is trained; all devices together.

    After a pass without gradient some parameters are still the whole weights that were gathered for it.
    """
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def _own(module: nn.Module) -> Iterator[nn.Parameter]:
    return module.parameters(recurse=False)


def _head_is_frozen(model: PreTrainedModel) -> bool:
    return not any(weight.requires_grad for weight in model.get_output_embeddings().parameters())
