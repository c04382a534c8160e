"""Which facts are traced: those that the model knows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from transformers import PreTrainedTokenizerBase

from unlearning.config.prompt import PromptConfig
from unlearning.config.trace import Corruption, TraceConfig, TraceMode, Wording
from unlearning.data.rows import Row
from unlearning.errors import InputError
from unlearning.mediation.encoded_fact import EncodedFact, encode_facts
from unlearning.mediation.facts import Fact, facts_from_rows, facts_without_subjects, in_possessive, spread
from unlearning.mediation.foils import with_foils
from unlearning.mediation.result import FactCounts
from unlearning.mediation.tracer import Tracer

ASKED_TOGETHER = 32
"""Facts whose answers are scored in one forward pass."""


@dataclass(frozen=True)
class KnownFacts:
    """The facts to trace, and facts of the other split to compare them with."""

    known: list[EncodedFact]
    """Facts that the model knows, in the order of `spread`."""
    other_split: list[EncodedFact]
    """Facts of the split that is not traced, `config.facts` at most. Whether the model knows them was not asked."""
    counts: FactCounts
    name_tokens: tuple[int, ...] = ()
    """Tokens of the names of all facts of the rows, each name by itself, without special tokens."""


@dataclass(frozen=True)
class UsableFacts:
    """The facts of both splits that can be traced, whether or not the model knows them."""

    usable: list[EncodedFact]
    """Facts of the traced split, in the order of `spread`, with foils from both splits."""
    others: list[EncodedFact]
    """Facts of the other split."""
    without_foil: tuple[str, ...]
    """Ids of facts that are left out, since trace.corruption=replacement has no other name for them."""
    names: tuple[str, ...]
    """The subjects of all facts of the traced split, in order."""


def usable_facts(
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[Row],
    other_rows: Sequence[Row],
    config: TraceConfig,
    prompt: PromptConfig,
) -> UsableFacts:
    """Return the facts of the rows that can be traced; no model is needed for that.

    Where no row has a subject and weights are exchanged, every row is a fact.

    Raises:
        InputError: no row is a fact, none has a foil that is needed, or see `encode_facts`.
    """
    texts, other_texts = _texts(rows, other_rows, config)
    facts = encode_facts(spread(texts, config.seed), tokenizer, prompt)
    others = encode_facts(spread(other_texts, config.seed), tokenizer, prompt)
    facts = with_foils(facts, [*facts, *others], config.seed)
    needs_foil = config.corruption is Corruption.replacement
    without = tuple(fact.source.id for fact in facts if needs_foil and not fact.foils)
    usable = [fact for fact in facts if fact.foils or not needs_foil]
    if not usable:
        raise InputError(
            f"trace.corruption=replacement: for none of {len(facts)} facts does another person's name have as many "
            "tokens in the same question"
        )
    return UsableFacts(usable, others, without, tuple(sorted(text.subject for text in texts)))


def find_known_facts(
    tracer: Tracer,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[Row],
    other_rows: Sequence[Row],
    config: TraceConfig,
    prompt: PromptConfig,
) -> KnownFacts:
    """Return the first `config.facts` facts of the rows that the model knows, with foils from both splits.

    Raises:
        InputError: the model knows none of them, or see `usable_facts`.
    """
    found = usable_facts(tokenizer, rows, other_rows, config, prompt)
    usable = found.usable
    known, unknown = _first_known(tracer, usable, config.facts)
    if not known:
        raise InputError(
            f"tracing: the model knows none of {len(usable)} facts, since it begins none of their answers right; give "
            "a model that was trained on the rows (unlearn-memorise makes one), or unlearn without tracing (scope=all)"
        )
    not_needed = len(usable) - len(known) - len(unknown)
    counts = FactCounts(unknown=tuple(unknown), without_foil=found.without_foil, not_needed=not_needed)
    tokens = [token for name in found.names for token in tokenizer(name, add_special_tokens=False)["input_ids"]]
    return KnownFacts(known, found.others[: config.facts], counts, tuple(tokens))


def _worded(rows: Sequence[Row], config: TraceConfig) -> list[Fact]:
    """Return the facts of the rows, with their questions in the wording asked for."""
    facts = facts_from_rows(rows)
    return [in_possessive(fact) for fact in facts] if config.wording is Wording.possessive else facts


def _texts(rows: Sequence[Row], other_rows: Sequence[Row], config: TraceConfig) -> tuple[list[Fact], list[Fact]]:
    """Return the facts of both splits as texts. InputError, with what can be done, where there is none to trace."""
    texts, others = _worded(rows, config), _worded(other_rows, config)
    if texts:
        return texts, others
    if config.mode is TraceMode.weights:
        return facts_without_subjects(rows), facts_without_subjects(other_rows)
    raise InputError(
        f"tracing: none of the {len(rows)} {config.split} rows has a known subject, the words that it asks about; give "
        "a column subject, or exchange weights, which needs none (trace=weights trace.base_model=FOLDER, the model "
        "before it memorised), or unlearn without tracing (scope=all)"
    )


def _first_known(tracer: Tracer, facts: Sequence[EncodedFact], limit: int) -> tuple[list[EncodedFact], list[str]]:
    """Return the first `limit` facts that the model knows, and the ids of those before that it does not know."""
    known: list[EncodedFact] = []
    unknown: list[str] = []
    for fact, is_known in _asked(tracer, facts):
        if len(known) == limit:
            break
        if is_known:
            known.append(fact)
        else:
            unknown.append(fact.source.id)
    return known, unknown


def _asked(tracer: Tracer, facts: Sequence[EncodedFact]) -> Iterator[tuple[EncodedFact, bool]]:
    """Yield each fact with whether the model knows it, asking about a few at a time."""
    rest = iter(facts)
    while group := list(islice(rest, ASKED_TOGETHER)):
        yield from zip(group, tracer.knows(group), strict=True)
