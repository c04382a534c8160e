"""What can be done with a model's architecture: packs of several rows, and branches of a cache.

Training asks here before it packs rows, decoding before it branches a cache, and tracing before it runs a prompt from
the first patched token on. Nothing else decides these things.

A layer with attention reads of earlier tokens only their keys and values. These have a place for each token, so they
can be selected, repeated and cut, and a mask hides the tokens of other rows. A recurrent or convolutional layer keeps a
state instead (linear attention, state space models). It has no places, and it flows on into the next row of a pack.
"""

from dataclasses import dataclass
from weakref import WeakKeyDictionary

from transformers import PreTrainedModel

from unlearning.errors import InputError
from unlearning.models import anatomy
from unlearning.models.row_self_test import SelfTest, self_test

TESTED = frozenset(
    (
        *("olmo", "olmo2", "olmo3", "llama", "mistral", "gemma", "gemma2", "gemma3_text", "qwen2", "qwen3", "granite"),
        *("gpt2", "gptj", "gpt_neo", "gpt_neox", "falcon", "phi", "phi3", "opt", "stablelm", "cohere", "starcoder2"),
        *("smollm3", "glm", "mixtral", "olmoe", "qwen2_moe", "qwen3_moe", "gpt_oss"),
        *("qwen3_5_text", "qwen3_next", "olmo_hybrid", "bamba", "falcon_h1", "granitemoehybrid", "nemotron_h"),
        *("zamba2", "mamba", "mamba2"),
    )
)
"""Values of model_type that the project's tests compare with one row at a time; others are tested when loaded."""
LEAKING = frozenset(("falcon", "gpt_oss", "opt"))
"""Values of model_type in `TESTED` for which transformers makes no block-diagonal mask of positions that restart."""
CACHED = {"full_attention", "sliding_attention", "chunked_attention"}
"""Kinds of layers, by the names in transformers, that read only the keys and values of earlier tokens."""


@dataclass(frozen=True)
class Capabilities:
    """What can be done with one model."""

    model_type: str
    keeps_state: bool
    """Whether later tokens read more of earlier ones than keys and values."""
    packs: bool
    """Whether a row has the same logits behind other rows of its pack as alone."""
    branches: bool
    """Whether cached keys and values can be selected, repeated, cut and continued. Answers that share a batch need it,
    several continuations of one prompt, and tracing from the first patched token on."""
    self_test: SelfTest | None
    """What was measured when the model was loaded; None for an architecture on the list `TESTED`, and for a model
    without weights."""

    def line(self) -> str | None:
        """Return one line for the user on what was measured and is done otherwise than usual; None where nothing is."""
        if self.packs and self.branches and self.self_test is None:
            return None
        reasons = [] if self.self_test is None else ["it is not on the tested list", self.self_test.measured()]
        if self.keeps_state:
            reasons.append("its layers keep a state")
        elif self.self_test is None:
            reasons.append("rows of one pack are not kept apart")
        packs = "rows share packs" if self.packs else "each row has a pack of its own"
        branches = "caches are branched" if self.branches else "prompts are never cut or branched"
        return f"model_type={self.model_type}: {'; '.join(reasons)}, so {packs}, and {branches}"


_FOUND: WeakKeyDictionary[PreTrainedModel, Capabilities] = WeakKeyDictionary()


def capabilities(model: PreTrainedModel) -> Capabilities:
    """Return what can be done with the model; an architecture that is not on the list is tested, once a model.

    Nothing can be tested on a model without weights (`skeleton`): of an unlisted architecture the least is said then.

    Raises InputError for a family that is refused by name, and where rows of a batch change one another, so that
    nothing would be right.
    """
    if model not in _FOUND:
        _FOUND[model] = _find(model)
    return _FOUND[model]


def is_tested(model: PreTrainedModel) -> bool:
    """Return whether what can be done with the model is known without running it."""
    return model.config.get_text_config().model_type in TESTED


def keeps_state(model: PreTrainedModel) -> bool:
    """Return whether some layer is recurrent, convolutional or the like, and keeps a state."""
    kinds = getattr(model.config.get_text_config(), "layer_types", None) or ()
    # Some recurrent architectures (rwkv, xlstm) do not name their layers' kinds.
    return bool(model._is_stateful) or not CACHED.issuperset(kinds)


def _find(model: PreTrainedModel) -> Capabilities:
    anatomy.decoder(model)
    family, state = model.config.get_text_config().model_type, keeps_state(model)
    if is_tested(model):
        return Capabilities(family, state, not state and family not in LEAKING, not state, self_test=None)
    if model.device.type == "meta":
        # What has no weights cannot be tested, and what is not tested is not relied on.
        return Capabilities(family, state, packs=False, branches=False, self_test=None)
    measured = self_test(model, state)
    if not measured.within(measured.batched):
        raise InputError(f"model_type={family}: cannot be used, {measured.measured()}: rows of a batch must not mix")
    packs, branches = measured.within(measured.packed), measured.within(measured.branched)
    return Capabilities(family, state, packs, branches, measured)
