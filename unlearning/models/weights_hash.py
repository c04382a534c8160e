"""One hash that says which weights a model has, exact to the bit.

Caches of evaluations, probes and traces use it as a key, and a checkpoint stores it for the weights that its run
started from.
"""

import hashlib
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor, nn


def weights_hash(model: nn.Module) -> str:
    """Return the SHA-256 over name, type, shape and bytes of every tensor of the state dict, in the order of the names.

    The hash is the same on every device and with any number of threads. Each of PyTorch's threads reads one tensor at a
    time: on a CPU where it lies, without a copy; from a GPU through a copy of this one tensor.
    """
    tensors = sorted(model.state_dict().items())
    digest = hashlib.sha256()
    # hashlib lets other threads run while it reads a large buffer.
    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        contents = threads.map(_content_hash, (tensor for _, tensor in tensors))
        for (name, tensor), content in zip(tensors, contents, strict=True):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} {content}\n".encode())
    return digest.hexdigest()


def _content_hash(tensor: Tensor) -> str:
    content = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    return hashlib.sha256(content.numpy().data).hexdigest()
