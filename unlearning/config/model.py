"""Which model: where its weights come from, or how it is made."""

from dataclasses import dataclass
from enum import StrEnum

from omegaconf import MISSING

from unlearning.config.checks import at_least, one_of, require


class Architecture(StrEnum):
    """Architectures that the sandbox can be built in."""

    olmo = "olmo"
    olmo2 = "olmo2"
    llama = "llama"
    gpt2 = "gpt2"
    gpt_neox = "gpt_neox"
    mistral = "mistral"
    """Llama with a sliding window in every layer."""
    gemma3 = "gemma3"
    """Local and global attention take turns."""


class Quantization(StrEnum):
    """How many bits the weights are held in while adapters are trained on them, or while they are scored."""

    none = "none"
    nf4 = "nf4"
    """4 bits a weight (QLoRA, arXiv 2305.14314); needs a CUDA GPU and bitsandbytes."""


@dataclass
class ModelConfig:
    """Which model: one at a path or hub name, the shipped sandbox model, or a variant of it that is built on demand."""

    name: str = MISSING
    """Short label for tables and folders."""
    path: str | None = None
    """Local folder or Hugging Face repository id; null: the sandbox's own model."""
    revision: str | None = None
    """Branch, tag or commit of the repository at path; null: its main branch."""
    tokenizer: str | None = None
    """Folder or repository id of the tokenizer; null: that of path."""
    retrained: str | None = None
    """Folder or repository id of a model that never saw the forget set; null: none (the sandbox has its own)."""
    architecture: Architecture = Architecture.olmo
    """Architecture of a model made here (the sandbox, or unlearn-memorise from scratch); ignored when path is given."""
    layers: int = at_least(1, 8)
    """Number of layers of a model made here."""
    width: int = 128
    """Numbers in a hidden state of a model made here, a multiple of heads."""
    heads: int = at_least(1, 4)
    """Attention heads of a model made here."""
    vocabulary: int = at_least(300, 1536)
    """Entries of the byte-level BPE tokenizer trained for the sandbox."""
    attention: str = one_of(("sdpa", "eager", "flash_attention_2"), "sdpa")
    """Implementation of attention, by its name in Transformers. Where an architecture has no sdpa, eager is used."""
    dropout: bool = True
    """Whether the dropout that the model's configuration names is on while weights are trained, as in Transformers'
    Trainer and so in the published systems. OLMo, Llama and most others have none; GPT-2 and OPT drop 0.1."""
    quantization: Quantization = Quantization.none
    """How the weights are held in memory. Merged weights are written in their own precision, with the adapter added."""
    trust_remote_code: bool = False
    """Whether Python code that comes with the model may be run."""
    allow_pickle: bool = False
    """Whether weights in pickle files may be loaded; safetensors only by default."""

    def check(self, key: str) -> None:
        """Raise InputError for an empty path, and for a width that the heads cannot share."""
        require(self.path != "", f"{key}.path", "", "given: a folder or a Hugging Face repository")
        heads = self.heads
        require(self.width % heads == 0, f"{key}.width", self.width, f"a multiple of {key}.heads={heads}")
