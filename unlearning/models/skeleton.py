"""A model without its weights, made from its config.json alone.

It has the names and shapes of all weights, on the meta device, and takes no memory. So what does not fit a model is
refused before its weights are read, and a run can be planned without them.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel
from transformers.initialization import meta_device_safe_creation_ops
from transformers.utils import find_adapter_config_file

from unlearning.config.model import ModelConfig
from unlearning.errors import InputError, first_line
from unlearning.models.load import AN_ADAPTER, SDPA, require_folder, revision_of


def load_skeleton(path: str, config: ModelConfig, dtype: torch.dtype, key: str = "model.path") -> PreTrainedModel:
    """Return the model of the path without its weights, in evaluation mode; weights count as `dtype`.

    `key` is the configuration key that named the path. Raises InputError where `load_model` would, except for what the
    files of weights tell (`require_loadable`).
    """
    require_folder(path, key)
    revision = revision_of(path, config)
    try:
        adapter = find_adapter_config_file(path, revision=revision)
        if adapter is None:
            settings = AutoConfig.from_pretrained(path, revision=revision, trust_remote_code=config.trust_remote_code)
            with without_weights():
                model: PreTrainedModel = AutoModelForCausalLM.from_config(
                    settings,
                    dtype=dtype,
                    attn_implementation=None if config.attention == SDPA else config.attention,
                    trust_remote_code=config.trust_remote_code,
                )
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        raise InputError(f"{key}={path}: cannot be loaded ({first_line(error)})") from error
    if adapter is not None:
        raise InputError(f"{key}={path}: {AN_ADAPTER}")
    return model.eval()


@contextmanager
def without_weights() -> Iterator[None]:
    """Put the weights of models that are created inside on the meta device, as Transformers does when it loads one."""
    with torch.device("meta"), meta_device_safe_creation_ops():
        yield
