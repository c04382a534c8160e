"""What tells, before any weights are read, that a model cannot be probed."""

from transformers import PreTrainedModel

from unlearning.probes.judged import Judged
from unlearning.probes.linear import LinearProbe
from unlearning.probes.probe import Probe
from unlearning.probes.relearning import Relearning


def require_fits(probe: Probe, model: PreTrainedModel) -> None:
    """Raise InputError where the probe names a layer, a module or a judge that is not there; it needs no weights."""
    if isinstance(probe, LinearProbe):
        probe.require_layer(model)
    if isinstance(probe, Judged):
        probe.judge()
    if isinstance(probe, Relearning) and probe.lora_rank is not None:
        probe.adapters(probe.lora_rank).require_fits(model)
