"""Which weights."""

from dataclasses import dataclass
from enum import StrEnum

from omegaconf import MISSING

from unlearning.config.checks import require


class Architecture(StrEnum):
    """Architectures that the sandbox can be built in."""

    olmo = "olmo"
    olmo2 = "olmo2"
    llama = "llama"
    gpt2 = "gpt2"
    gpt_neox = "gpt_neox"
    mistral = "mistral"
    """With a sliding window in every layer."""
    gemma3 = "gemma3"
    """Local and global attention in turn."""


class Quantization(StrEnum):
    """How many bits the weights are held in while adapters are trained on them, or while they are scored."""

    none = "none"
    nf4 = "nf4"
    """4 bits a weight (QLoRA, arXiv 2305.14314); needs a CUDA GPU and bitsandbytes."""


@dataclass
class ModelConfig:
    """Which weights. Three ways: a path or hub name; the shipped sandbox; a sandbox variant built on demand."""

    name: str = MISSING
    """Short label for tables and folders."""
    path: str | None = None
    """Local folder or Hugging Face repository id; null: the sandbox's own model."""
    revision: str | None = None
    tokenizer: str | None = None
    """Folder or repository id of the tokenizer; null: that of path."""
    retrained: str | None = None
    """Folder or repository id of a model that never saw the forget set; null: none (the sandbox has its own)."""
    architecture: Architecture = Architecture.olmo
    """Of a model made here (the sandbox, or unlearn-memorise from scratch); ignored when path is given."""
    layers: int = 8
    width: int = 128
    heads: int = 4
    vocabulary: int = 1536
    """Entries of the byte-level BPE tokenizer trained for the sandbox."""
    attention: str = "sdpa"
    quantization: Quantization = Quantization.none
    """Of the loaded weights. Merged weights are written as they were before, with the adapter on top."""
    trust_remote_code: bool = False
    allow_pickle: bool = False
    """Whether weights in pickle files may be loaded; safetensors only by default."""

    def __post_init__(self) -> None:
        require(self.path != "", "model.path", "", "given: a folder or a Hugging Face repository")
        require(self.layers >= 1, "model.layers", self.layers, "1 or more")
        require(self.heads >= 1, "model.heads", self.heads, "1 or more")
        require(self.width % self.heads == 0, "model.width", self.width, f"a multiple of model.heads={self.heads}")
        require(self.vocabulary >= 300, "model.vocabulary", self.vocabulary, "300 or more")
        require(
            self.attention in ("sdpa", "eager", "flash_attention_2"),
            "model.attention",
            self.attention,
            "sdpa, eager or flash_attention_2",
        )
