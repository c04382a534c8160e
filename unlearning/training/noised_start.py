"""A start that is partly noise: what only the old weights held is gone, and training brings back the rest (UNDO)."""

import torch
from torch import nn


def noise_weights(model: nn.Module, share: float, scale: float, seed: int) -> None:
    """Replace each parameter that may move by (1 - share) * theta + share * scale * N.

    N is uniform between -b and b with b = sqrt(6 / (rows + columns)) for weights of two dimensions (Xavier), and 0 for
    all others, so that norms and biases only shrink. The same seed gives the same noise on every device (Lee et al.
    2025, arXiv 2506.06278).
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if not parameter.requires_grad:
                continue
            parameter.mul_(1 - share)
            if parameter.dim() == 2:
                noise = nn.init.xavier_uniform_(torch.empty(parameter.shape), generator=generator)
                parameter.add_(noise.to(parameter), alpha=share * scale)
