"""Utility: accuracy on four-way questions of general knowledge, in two formats."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from unlearning.data.question_text import LETTERS, cloze_prompt, letters_prompt, option_continuation
from unlearning.data.rows import Question
from unlearning.errors import InputError
from unlearning.evaluation.kv_cache import new_cache
from unlearning.evaluation.likelihood import length_batches, log_likelihoods, right_padded
from unlearning.evaluation.model_state import context_tokens, require_fits, scoring

PROMPT_LIMIT_TOKENS = 2048
"""Longest few-shot prompt of the official MMLU script (Open-Instruct, eval/mmlu/run_eval.py)."""


def cloze_correct(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    questions: Sequence[Question],
    batch_tokens: int,
    advance: Callable[[int], None],
) -> list[bool]:
    """Whether the right option is the most likely continuation of the question, by question.

    Score of option o after prompt c: sum of log p(token) over the tokens of " o" after c, divided by the characters of
    o, so that long options are not at a disadvantage (OLMES, arXiv 2406.08446, "character" normalisation; the space is
    not counted, as in lm-evaluation-harness's acc_norm). Of equal scores the first wins.

    Raises InputError for a question longer than the model's context, and for a score that is not a number.
    """
    sequences, starts, owners = [], [], []
    for question in questions:
        prompt: list[int] = tokenizer(cloze_prompt(question))["input_ids"]
        for option in question.options:
            tokens: list[int] = tokenizer(cloze_prompt(question) + option_continuation(option))["input_ids"]
            require_fits(model, f"question {question.id}", len(tokens), 0)
            shared = _shared_beginning([prompt, tokens])
            sequences.append(tokens)
            starts.append(max(1, min(shared, len(tokens) - 1)))
            owners.append((question, option))
    sums = iter(log_likelihoods(model, sequences, starts, batch_tokens, advance))
    return [
        _cloze_choice(question, [next(sums) for _ in question.options]) == question.answer for question in questions
    ]


def _shared_beginning(sequences: Sequence[Sequence[int]]) -> int:
    """Number of tokens that all sequences begin with."""
    shortest = min(sequences, key=len)
    for place, token in enumerate(shortest):
        if any(sequence[place] != token for sequence in sequences):
            return place
    return len(shortest)


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
) -> list[bool]:
    """Whether the right letter is the most probable of A-D after the question with its options, by question.

    The first `shots` examples of the question's subject come before it, fewer where the prompt would be too long. A
    letter's probability is that of the last token of " A" right after "Answer:", as in the official script.

    Raises InputError for a question that is too long without examples, for letters that share a token, and for logits
    that are not a number.
    """
    letters = _letter_tokens(tokenizer)
    prompts: list[list[int]] = []
    groups: dict[tuple[str, int], list[int]] = {}
    for index, question in enumerate(questions):
        worked = [example for example in examples if example.subject == question.subject][:shots]
        tokens, used = _fitting_prompt(model, tokenizer, question, worked)
        prompts.append(tokens)
        groups.setdefault((question.subject, used), []).append(index)
    correct = [False] * len(questions)
    with scoring(model):
        for group in groups.values():
            for batch in length_batches([len(prompts[index]) for index in group], batch_tokens):
                members = [group[place] for place in batch]
                logits = last_logits(model, [prompts[index] for index in members])[:, letters]
                for index, scores in zip(members, logits, strict=True):
                    correct[index] = _letter_choice(questions[index], scores) == questions[index].answer
                advance(len(members))
    return correct


def _letter_tokens(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    tokens = [tokenizer(option_continuation(letter), add_special_tokens=False)["input_ids"][-1] for letter in LETTERS]
    if len(set(tokens)) < len(LETTERS):
        raise InputError(f"tokenizer: the letters {', '.join(LETTERS)} share tokens {tokens}; must have one each")
    return tokens


def _fitting_prompt(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, question: Question, worked: Sequence[Question]
) -> tuple[list[int], int]:
    """Token ids of the prompt, and the number of examples in it."""
    limit = min(PROMPT_LIMIT_TOKENS, context_tokens(model) or PROMPT_LIMIT_TOKENS)
    for used in range(len(worked), -1, -1):
        tokens: list[int] = tokenizer(letters_prompt(question, worked[:used]))["input_ids"]
        if len(tokens) <= limit:
            return tokens, used
    raise InputError(f"question {question.id}: {len(tokens)} tokens without examples; must have {limit} or fewer")


def last_logits(model: PreTrainedModel, prompts: Sequence[Sequence[int]]) -> Tensor:
    """Logits (B, V) after each prompt; what all prompts begin with goes through the model once."""
    lengths = [len(prompt) for prompt in prompts]
    shared = min(_shared_beginning(prompts), min(lengths) - 1)
    cache = new_cache(model)
    if shared:
        start = torch.tensor([prompts[0][:shared]], device=model.device)
        model(input_ids=start, past_key_values=cache, use_cache=True, logits_to_keep=1)
        cache.batch_repeat_interleave(len(prompts))
    ids = right_padded([prompt[shared:] for prompt in prompts], model.device)
    ends = torch.tensor(lengths, device=model.device) - shared - 1
    kept, places = torch.unique(ends, return_inverse=True)
    logits: Tensor = model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=kept).logits
    return logits[torch.arange(len(prompts), device=model.device), places]


def _letter_choice(question: Question, scores: Tensor) -> int:
    if bool(scores.isnan().any()):
        raise InputError(f"question {question.id}: the model's logits are not a number (NaN); its weights are broken")
    return int(scores.argmax())
