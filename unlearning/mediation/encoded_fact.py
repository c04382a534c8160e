"""A fact as tokens: where its subject stands, and where its answer begins."""

from dataclasses import dataclass, replace

from transformers import PreTrainedTokenizerBase

from unlearning.config.prompt import PromptConfig, PromptStyle, Supervised
from unlearning.data.encoding import encode_row
from unlearning.data.rows import Kind, Row, Split
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


def encode_fact(fact: Fact, tokenizer: PreTrainedTokenizerBase, prompt: PromptConfig) -> EncodedFact:
    """Tokenise a fact as a training row is tokenised, and find its subject by the tokens' character offsets.

    Raises:
        InputError: the tokenizer is a slow one, which gives no offsets; its offsets do not fit the prompt; or
            the row cannot be encoded (see `encode_row`).
    """
    if not tokenizer.is_fast:
        name = tokenizer.name_or_path or type(tokenizer).__name__
        raise InputError(f"tokenizer {name}: tracing needs a fast tokenizer, whose tokens know their offsets")
    row = Row(fact.id, fact.prompt, fact.answer, "Task2", Kind.QUESTION, Split.FORGET)
    plain = replace(prompt, append_eos=False, forget_supervised=Supervised.output)
    encoded = encode_row(row, tokenizer, plain)
    start = encoded.supervised_from
    text = _prompt_text(fact, tokenizer, prompt)
    ids, offsets = _offsets(text, tokenizer, prompt)
    first = text.find(fact.prompt) + fact.subject_start
    inside = [
        position for position, (begin, end) in enumerate(offsets) if begin < first + len(fact.subject) and end > first
    ]
    if tuple(ids) != encoded.input_ids[:start] or fact.prompt not in text or (fact.subject and not inside):
        raise InputError(f"fact {fact.id}: cannot tell which tokens of the prompt are {fact.subject!r}")
    texts = tuple(tokenizer.decode([token]) for token in ids)
    subject = range(inside[0], inside[-1] + 1) if inside else range(0)
    return EncodedFact(fact, encoded.input_ids, subject, start, texts)


def _prompt_text(fact: Fact, tokenizer: PreTrainedTokenizerBase, prompt: PromptConfig) -> str:
    """Return the prompt as a string: the question itself, or the chat template around it."""
    if prompt.style is PromptStyle.raw:
        return fact.prompt
    chat = [{"role": "user", "content": fact.prompt}]
    return str(tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False))


def _offsets(
    text: str, tokenizer: PreTrainedTokenizerBase, prompt: PromptConfig
) -> tuple[list[int], list[tuple[int, int]]]:
    """Return the prompt's ids and the characters [begin, end) of each; special tokens have an empty range.

    A chat template writes its special tokens itself, so the tokenizer must not add its own.
    """
    special = prompt.style is PromptStyle.raw
    encoding = tokenizer(text, add_special_tokens=special, return_offsets_mapping=True)
    return encoding["input_ids"], encoding["offset_mapping"]
