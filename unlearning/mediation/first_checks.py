"""What tells, before any weights are read, that a trace cannot be made."""

from collections.abc import Sequence

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from unlearning.config.prompt import PromptConfig
from unlearning.config.scope import ModuleKind
from unlearning.config.trace import TraceConfig, TracedSplit, TraceMode
from unlearning.data.rows import Row
from unlearning.mediation.gradients import require_both
from unlearning.mediation.known_facts import usable_facts
from unlearning.mediation.rules import READS_GRADIENTS
from unlearning.mediation.tracer import Tracer
from unlearning.mediation.weight_swap import require_same_parts


def require_traceable(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    forget: Sequence[Row],
    retain: Sequence[Row],
    config: TraceConfig,
    prompt: PromptConfig,
    base: PreTrainedModel | None,
) -> None:
    """Refuse what `trace` would refuse of these arguments; the weights of the two models need not be there.

    Raises:
        InputError: the model lacks a kind of part, the base model is missing or of another shape, no row is a fact, or
            the rule needs facts of both splits and one has none.
    """
    Tracer(model, config, base)
    if base is not None:
        # Their distance is measured over whole layers.
        require_same_parts(model, base, [ModuleKind.layer, *(config.kinds if config.mode is TraceMode.weights else ())])
    rows, others = (forget, retain) if config.split is TracedSplit.forget else (retain, forget)
    facts = usable_facts(tokenizer, rows, others, config, prompt)
    if config.rule in READS_GRADIENTS:
        of_sets = (facts.usable, facts.others)
        require_both(*of_sets if config.split is TracedSplit.forget else reversed(of_sets))
