"""A fact as tokens: where its subject stands, and where its answer begins."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from transformers import PreTrainedTokenizerBase

from unlearning.config.prompt import PromptConfig
from unlearning.data.joint import JointRow, join_rows
from unlearning.errors import InputError
from unlearning.mediation.facts import Fact


@dataclass(frozen=True, slots=True)
class EncodedFact:
    """The prompt and the answer of a fact in one sequence, tokenised as in training, without an end-of-text token."""

    source: Fact
    """The fact as text."""
    input_ids: tuple[int, ...]
    subject: range
    """Positions of the tokens that share a character with the subject; empty for a fact without one."""
    answer_start: int
    """Position of the answer's first token; the prompt ends before it."""
    texts: tuple[str, ...] = ()
    """The prompt's tokens as text, for figures."""
    foils: tuple[tuple[int, ...], ...] = ()
    """Prompts that ask the same about other persons and differ in the subject's tokens alone. The first is what
    trace.corruption=replacement feeds, the last is the placebo's. See `foils.with_foils`."""
    contrast: tuple[int, int] | None = None
    """The first place in the answer where another person's answer differs, and that answer's token there."""

    @property
    def prompt(self) -> tuple[int, ...]:
        """The tokens before the answer."""
        return self.input_ids[: self.answer_start]

    @property
    def answer(self) -> tuple[int, ...]:
        """The answer's tokens, one or more."""
        return self.input_ids[self.answer_start :]


def encode_facts(facts: Sequence[Fact], tokenizer: PreTrainedTokenizerBase, prompt: PromptConfig) -> list[EncodedFact]:
    """Tokenise facts as training rows are tokenised, and find their subjects by the tokens' character offsets.

    Raises:
        InputError: the tokenizer gives no offsets, its offsets do not fit a prompt, or a row cannot be encoded (see
            `encode_rows`).
    """
    plain = replace(prompt, append_eos=False)
    joint = join_rows([fact.prompt for fact in facts], [fact.answer for fact in facts], tokenizer, plain)
    return [_encoded(fact, found, tokenizer) for fact, found in zip(facts, joint, strict=True)]


def _encoded(fact: Fact, joint: JointRow, tokenizer: PreTrainedTokenizerBase) -> EncodedFact:
    """Return one fact from its tokens. Raises InputError where it has a subject and no token of it."""
    ids, start = joint.tokens.ids, joint.answer_start
    # A chat template may write the same words before the question, in a system message.
    asked = joint.rendered.prompt.rfind(fact.prompt)
    first = asked + fact.subject_start
    last = first + len(fact.subject)
    inside = [place for place, (begin, end) in enumerate(joint.tokens.offsets[:start]) if begin < last and end > first]
    if asked < 0 or (fact.subject and not inside):
        raise InputError(f"fact {fact.id}: cannot tell which tokens of the prompt are {fact.subject!r}")
    texts = tuple(tokenizer.decode([token]) for token in ids[:start])
    subject = range(inside[0], inside[-1] + 1) if inside else range(0)
    return EncodedFact(fact, ids, subject, start, texts)
