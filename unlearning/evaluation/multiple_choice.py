"""Utility: accuracy on four-way questions of general knowledge; 0 to 1, higher is better, 0.25 is chance.

In the cloze format the most likely option counts as the model's answer, in the letter format the most likely of A-D.
"""

import math
from collections.abc import Callable, Sequence
from itertools import takewhile

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from unlearning.data.joint import located_tokens
from unlearning.data.question_text import LETTERS, MMLU_HEAD, cloze_prompt, letters_prompt, option_continuation
from unlearning.data.rows import Question
from unlearning.errors import InputError
from unlearning.evaluation.continuations import PromptContinuations, continuation_log_likelihoods
from unlearning.evaluation.kv_cache import SharedPrefix
from unlearning.evaluation.likelihood import length_batches, right_padded
from unlearning.evaluation.model_state import context_tokens, evaluation_mode, require_fits
from unlearning.models import anatomy
from unlearning.models.cache_name import CACHE_NAME
from unlearning.models.capabilities import capabilities
from unlearning.models.projection import project

PROMPT_LIMIT_TOKENS = 2048
"""Longest few-shot prompt of the official MMLU script (Open-Instruct, eval/mmlu/run_eval.py)."""


def cloze_correct(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    questions: Sequence[Question],
    batch_tokens: int,
    advance: Callable[[int], None],
) -> list[bool]:
    """Return, for each question, whether its right option is the most likely continuation.

    The score of option o after prompt c is the sum of log p(token) over the tokens of " o" after c, divided by the
    characters of o, so that long options have no disadvantage (OLMES, arXiv 2406.08446, "character" normalisation; the
    space is not counted, as in acc_norm of lm-evaluation-harness). Of equal scores the first wins. A question goes
    through the model once, whatever the number of its options.

    Raises InputError for a question longer than the model's context, and for a score that is not a number.
    """
    continuations = [["", *map(option_continuation, question.options)] for question in questions]
    texts = [
        cloze_prompt(question) + end for question, ends in zip(questions, continuations, strict=True) for end in ends
    ]
    encoded = iter(_token_ids(tokenizer, texts))
    items = [
        _split_at_options(model, question, [next(encoded) for _ in ends])
        for question, ends in zip(questions, continuations, strict=True)
    ]
    sums = continuation_log_likelihoods(model, items, batch_tokens, advance)
    return [_cloze_choice(question, found) == question.answer for question, found in zip(questions, sums, strict=True)]


def _token_ids(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    """Return the token ids of each text, with the special tokens that the tokenizer puts before it."""
    return [list(tokens.ids) for tokens in located_tokens(texts, tokenizer, special=True)]


def _split_at_options(model: PreTrainedModel, question: Question, encoded: Sequence[list[int]]) -> PromptContinuations:
    """Return the question with its options as continuations, cut where an option first differs from the question alone.

    `encoded` has the tokens of the question alone, then those of the question with each option.
    """
    alone, *whole = encoded
    for tokens in whole:
        require_fits(model, f"question {question.id}", len(tokens), 0)
    starts = [max(1, min(_shared_beginning([alone, tokens]), len(tokens) - 1)) for tokens in whole]
    cut = min(starts)
    return PromptContinuations(whole[0][:cut], [tokens[cut:] for tokens in whole], [start - cut for start in starts])


def _shared_beginning(sequences: Sequence[list[int]]) -> int:
    """Return the number of tokens that all sequences begin with."""
    # In lexical order the least and the greatest sequence differ first.
    pairs = zip(min(sequences), max(sequences), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _cloze_choice(question: Question, sums: Sequence[float]) -> int:
    scores = [total / max(1, len(option)) for total, option in zip(sums, question.options, strict=True)]
    if any(map(math.isnan, scores)):
        raise InputError(f"question {question.id}: the model's log-likelihood is not a number (NaN)")
    return max(range(len(scores)), key=lambda option: scores[option])


def letters_correct(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    questions: Sequence[Question],
    examples: Sequence[Question],
    shots: int,
    batch_tokens: int,
    advance: Callable[[int], None],
    head: str = MMLU_HEAD,
) -> list[bool]:
    """Return, for each question, whether its right letter is the most probable of A-D after the question.

    The first `shots` examples of the question's subject come before it, fewer where the prompt would be too long. The
    probability of a letter is that of the last token of " A" right after "Answer:", as in the official script. The
    common beginning of a subject's prompts goes through the model once. `head` is the first line of each prompt.

    Raises InputError for a question that is too long without examples, for letters that share a token, and for logits
    that are not a number.
    """
    letters = letter_tokens(tokenizer)
    subjects = {question.subject for question in questions}
    worked = {subject: [one for one in examples if one.subject == subject][:shots] for subject in subjects}
    texts = [letters_prompt(question, worked[question.subject], head) for question in questions]
    prompts = _token_ids(tokenizer, texts)
    groups: dict[tuple[str, int], list[int]] = {}
    for index, question in enumerate(questions):
        prompts[index], used = fitting_prompt(
            model, tokenizer, question, worked[question.subject], prompts[index], head
        )
        groups.setdefault((question.subject, used), []).append(index)
    correct = [False] * len(questions)
    for group in groups.values():
        found = last_logits(model, [prompts[index] for index in group], letters, batch_tokens, advance)
        for index, scores in zip(group, found, strict=True):
            correct[index] = _letter_choice(questions[index], scores) == questions[index].answer
    return correct


def letter_tokens(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Return the token of each of the letters A-D after "Answer:". Raises InputError where two share a token."""
    tokens = [tokenizer(option_continuation(letter), add_special_tokens=False)["input_ids"][-1] for letter in LETTERS]
    if len(set(tokens)) < len(LETTERS):
        raise InputError(f"tokenizer: the letters {', '.join(LETTERS)} share tokens {tokens}; must have one each")
    return tokens


def fitting_prompt(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    question: Question,
    worked: Sequence[Question],
    tokens: list[int],
    head: str,
) -> tuple[list[int], int]:
    """Return the token ids of the longest prompt that fits, and the number of examples in it.

    `tokens` is the prompt with all examples. A prompt with examples may have PROMPT_LIMIT_TOKENS tokens; a question by
    itself may be as long as the model's context.
    """
    context = context_tokens(model)
    for used in range(len(worked), -1, -1):
        if used < len(worked):
            (tokens,) = _token_ids(tokenizer, [letters_prompt(question, worked[:used], head)])
        limit = min(PROMPT_LIMIT_TOKENS, context or PROMPT_LIMIT_TOKENS) if used else context
        if limit is None or len(tokens) <= limit:
            return tokens, used
    raise InputError(f"question {question.id}: {len(tokens)} tokens without examples; must have {context} or fewer")


def last_logits(
    model: PreTrainedModel,
    prompts: Sequence[list[int]],
    wanted: Sequence[int],
    batch_tokens: int,
    advance: Callable[[int], None],
) -> Tensor:
    """Return the logits (prompts, wanted) of the wanted tokens after each prompt.

    The common beginning of all prompts goes through the model once, where its cache can be branched. A batch holds
    about `batch_tokens` cache slots, or one prompt.
    """
    lengths = [len(prompt) for prompt in prompts]
    batches = length_batches(lengths, batch_tokens)
    branches = capabilities(model).branches
    shared = min(_shared_beginning(prompts), min(lengths) - 1) if branches and len(prompts) > 1 else 0
    decoder = anatomy.decoder(model)
    found = torch.empty(len(prompts), len(wanted), dtype=torch.promote_types(model.dtype, torch.float32))
    with evaluation_mode(model):
        prefix = SharedPrefix(model, prompts[0][:shared], max(map(len, batches)), max(lengths) - shared)
        for batch in batches:
            ids = right_padded([prompts[index][shared:] for index in batch], model.device)
            cache = {CACHE_NAME: prefix.cache_for(len(batch))} if branches else {}
            states = decoder(input_ids=ids, use_cache=branches, **cache)[0]
            ends = torch.tensor([lengths[index] for index in batch], device=ids.device) - shared - 1
            last = states[torch.arange(len(batch), device=ids.device), ends]
            found[batch] = project(model, decoder, last)[:, list(wanted)].to("cpu", found.dtype)
            advance(len(batch))
    return found


def _letter_choice(question: Question, scores: Tensor) -> int:
    if bool(scores.isnan().any()):
        raise InputError(f"question {question.id}: the model's logits are not a number (NaN); its weights are broken")
    return int(scores.argmax())
