"""Loads models and tokenizers from a folder or the Hugging Face hub: no pickles and no remote code unless asked for."""

import importlib.util
import logging
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils.logging import disable_progress_bar

from unlearning.config.model import ModelConfig, Quantization
from unlearning.errors import InputError, first_line
from unlearning.models.dropout import switch_dropout_off

log = logging.getLogger(__name__)

SDPA = "sdpa"
"""PyTorch's own attention, the default of Transformers."""
AN_ADAPTER = "an adapter; give the whole model, such as the model/ of the run that made it"
LARGEST_FILE = "5GB"
"""Weights of a larger model are written as several files."""


def load_model(
    path: str, config: ModelConfig, dtype: torch.dtype, key: str = "model.path", device: torch.device | None = None
) -> PreTrainedModel:
    """Return a causal language model in evaluation mode, with weights in `dtype`, on a device or (None) on the CPU.

    Weights are read one tensor after another onto the device. On the CPU, those that are stored in `dtype` stay pages
    of their files until they are changed: processes that load the same model share them, and the system can drop them.
    On the meta device the weights have no values. With model.quantization linear modules are in 4 bits, on this
    process's GPU. `key` is the configuration key that named the path.

    Raises InputError where the path does not exist, has no such model, an adapter alone, or only pickled weights, and
    where the library or the GPU for quantization is missing.
    """
    placed = _quantized(config) or ({} if device is None else {"device_map": {"": device}})
    require_loadable(path, config, key)
    if config.path is None or not sys.stderr.isatty():
        disable_progress_bar()
    try:
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            path,
            revision=revision_of(path, config),
            dtype=dtype,
            # None: sdpa where the architecture has it, else Transformers' own.
            attn_implementation=None if config.attention == SDPA else config.attention,
            use_safetensors=None if config.allow_pickle else True,
            trust_remote_code=config.trust_remote_code,
            **placed,
        )
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        raise InputError(f"{key}={path}: cannot be loaded ({first_line(error)})") from error
    if getattr(model, "_hf_peft_config_loaded", False):
        raise InputError(f"{key}={path}: {AN_ADAPTER}")
    if not config.dropout:
        switch_dropout_off(model)
    if config.attention == SDPA and model.config._attn_implementation != SDPA:
        _say_fallback(model.config.model_type, model.config._attn_implementation)
    return model.eval()


@cache
def _say_fallback(family: str, used: str) -> None:
    """Say once a process which attention is used where there is no sdpa."""
    log.warning("model.attention=%s: %s has none in Transformers; model.attention=%s is used", SDPA, family, used)


def load_tokenizer(path: str, config: ModelConfig) -> PreTrainedTokenizerBase:
    """Return the fast tokenizer; one without a padding token pads with its end-of-text token.

    Raises InputError where there is no tokenizer, or where it is a slow one or has no end-of-text token.
    """
    source = config.tokenizer or path
    require_folder(source, "model.tokenizer" if config.tokenizer else "model.path")
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            source, revision=revision_of(source, config), trust_remote_code=config.trust_remote_code
        )
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise InputError(f"model.tokenizer={source}: cannot be loaded ({first_line(error)})") from error
    if not tokenizer.is_fast:
        raise InputError(f"model.tokenizer={source}: a slow tokenizer; a fast one is needed, with a tokenizer.json")
    if tokenizer.eos_token_id is None:
        raise InputError(f"model.tokenizer={source}: has no end-of-text token")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def save_model(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write weights as safetensors, configuration and tokenizer, as Transformers' `from_pretrained` loads them.

    Weights on the CPU are written from where they lie; those on a GPU are copied to the CPU, one file's at a time.
    """
    model.save_pretrained(folder, max_shard_size=LARGEST_FILE)
    tokenizer.save_pretrained(folder)


def require_loadable(path: str, config: ModelConfig, key: str) -> None:
    """Raise InputError where the names of files and this computer already tell that a model cannot be loaded."""
    _quantized(config)
    require_folder(path, key)
    if not config.allow_pickle:
        _refuse_pickle_only(path, key)


def _quantized(config: ModelConfig) -> dict[str, Any]:
    """Return the arguments with which Transformers loads 4-bit weights onto this process's GPU; none without them.

    As in QLoRA (Dettmers et al. 2023, arXiv 2305.14314): NF4, quantised quantisation constants, computing in bfloat16.
    """
    if config.quantization is Quantization.none:
        return {}
    asked = f"model.quantization={config.quantization}"
    if importlib.util.find_spec("bitsandbytes") is None:
        raise InputError(f"{asked}: needs bitsandbytes, which is not installed: pip install bitsandbytes")
    if not torch.cuda.is_available():
        raise InputError(f"{asked}: needs a CUDA GPU, and none was found here")
    settings = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=config.quantization.value,
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16,
    )
    return {"quantization_config": settings, "device_map": {"": int(os.environ.get("LOCAL_RANK", "0"))}}


def revision_of(source: str, config: ModelConfig) -> str:
    """Return the configured revision for the model's own repository, and main for a tokenizer from another one."""
    return config.revision if config.revision and source == config.path else "main"


def require_folder(path: str, key: str) -> None:
    """Raise InputError with the key for a path that is no folder; anything like owner/name is left to the hub."""
    looks_local = path.startswith((".", "/", "~")) or path.count("/") != 1
    if looks_local and not Path(path).is_dir():
        raise InputError(f"{key}={path}: no such folder, and not a repository of the form owner/name")


def _refuse_pickle_only(path: str, key: str) -> None:
    folder = Path(path)
    if folder.is_dir() and not any(folder.glob("*.safetensors")):
        pickles = sorted(item.name for pattern in ("*.bin", "*.pt", "*.pth", "*.ckpt") for item in folder.glob(pattern))
        if pickles:
            raise InputError(
                f"{key}={path}: has only pickled weights ({pickles[0]}), which can run code when loaded; "
                "convert them to safetensors, or set model.allow_pickle=true"
            )
        raise InputError(f"{key}={path}: has no *.safetensors weights")
