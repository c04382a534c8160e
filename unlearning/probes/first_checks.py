"""What tells, before any weights are read, that a model cannot be probed."""

from transformers import PreTrainedModel

from unlearning.probes.linear import LinearProbe
from unlearning.probes.probe import Probe
from unlearning.probes.relearning import Relearning


def require_fits(probe: Probe, model: PreTrainedModel) -> None:
    """Raise InputError where the probe names a layer or a module that the model lacks; it needs no weights for that."""
    if isinstance(probe, LinearProbe):
        probe.require_layer(model)
    if isinstance(probe, Relearning) and probe.lora_rank is not None:
        probe.adapters(probe.lora_rank).require_fits(model)
