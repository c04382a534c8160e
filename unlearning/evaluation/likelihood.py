"""The likelihood that a model gives to tokens: to each token of a document, and to an answer or option as a whole."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from unlearning.data.rows import Document
from unlearning.errors import InputError
from unlearning.evaluation.attacks import document_score
from unlearning.evaluation.model_state import evaluation_mode, require_fits
from unlearning.evaluation.position_logits import log_probabilities, logits_by_part
from unlearning.evaluation.result import DocumentScore
from unlearning.models import anatomy

STATISTICS_LIMIT = 1 << 18
"""Most logits whose softmax is computed at a time (1 MiB in float32): about what the cache of one core holds."""
FULL_RATE_TOKENS = 256
"""Tokens at which one forward pass multiplies matrices about as fast as it ever will on a CPU."""
LEAST_LENGTH_SHARE = 0.9
"""Least length of a sequence, as a share of the longest in its batch, where the batch is large enough without it."""
LEAST_LOG_RATIO = -1e4
"""Least value of ln(p / largest p): here p is 0 in float32 already; without a bound a masked token gives 0 x inf."""


def length_batches(lengths: Sequence[int], batch_tokens: int) -> list[list[int]]:
    """Return the sequences' indices, longest first, in batches of `batch_tokens` padded tokens or fewer, or of one.

    A batch that has FULL_RATE_TOKENS takes no sequence that is much shorter than its longest one: it would compute its
    padding for nothing.
    """
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda item: (-lengths[item], item)):
        if batches and _joins(lengths[index], lengths[batches[-1][0]], len(batches[-1]), batch_tokens):
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


def _joins(length: int, longest: int, others: int, batch_tokens: int) -> bool:
    """Return whether a sequence joins a batch of so many others, all padded to the longest."""
    alike = length >= LEAST_LENGTH_SHARE * longest
    return (others + 1) * longest <= batch_tokens and (alike or others * longest < FULL_RATE_TOKENS)


def right_padded(sequences: Sequence[Sequence[int]], device: torch.device) -> Tensor:
    """Return the token ids (B, T), padded on the right with token 0, which no earlier token attends to."""
    width = max(map(len, sequences))
    ids = torch.zeros(len(sequences), width, dtype=torch.long)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = torch.tensor(sequence)
    return ids.to(device)


def log_likelihoods(
    model: PreTrainedModel,
    sequences: Sequence[Sequence[int]],
    starts: Sequence[int],
    batch_tokens: int,
    advance: Callable[[int], None],
) -> list[float]:
    """Return the log-likelihood of each sequence's tokens from its start (1 or more) on, in nats.

    It is the sum of `token_log_probabilities`, and NaN where the model yields NaN.
    """
    scored = token_log_probabilities(model, sequences, starts, batch_tokens, advance)
    return [values.sum().item() for values in scored]


def token_log_probabilities(
    model: PreTrainedModel,
    sequences: Sequence[Sequence[int]],
    starts: Sequence[int],
    batch_tokens: int,
    advance: Callable[[int], None],
) -> list[Tensor]:
    """Return log p(token | all tokens before it), in nats, of each sequence's tokens from its start (1 or more) on.

    There is one tensor (T,) for each sequence. The values are computed in float32 or better from the model's logits, as
    the loss of transformers is. After each batch `advance` is called with its size.
    """
    found: dict[int, Tensor] = {}
    decoder = anatomy.decoder(model)
    with evaluation_mode(model):
        for batch in length_batches(list(map(len, sequences)), batch_tokens):
            chosen, firsts = [sequences[index] for index in batch], [starts[index] for index in batch]
            states, tokens, counts = states_before_scored(model, decoder, chosen, firsts)
            values = log_probabilities(model, decoder, states, torch.arange(len(tokens), device=tokens.device), tokens)
            found |= zip(batch, torch.split(values, counts), strict=True)
            advance(len(batch))
    return [found[index] for index in range(len(sequences))]


def states_before_scored(
    model: PreTrainedModel, decoder: nn.Module, sequences: Sequence[Sequence[int]], starts: Sequence[int]
) -> tuple[Tensor, Tensor, list[int]]:
    """Return what scores each sequence's tokens from its start (1 or more) on, from one pass through the decoder.

    That is the decoder's state (N, width) before each of these tokens, the tokens (N,) themselves, and how many of them
    each sequence has. The logits of no other position are needed.
    """
    ids = right_padded(sequences, model.device)
    states = decoder(input_ids=ids, use_cache=False)[0]
    places = torch.arange(1, ids.shape[1], device=ids.device)
    first = torch.tensor(starts, device=ids.device)[:, None]
    end = torch.tensor([len(sequence) for sequence in sequences], device=ids.device)[:, None]
    wanted = (places >= first) & (places < end)
    return states[:, :-1][wanted], ids[:, 1:][wanted], wanted.sum(1).tolist()


def document_scores(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    documents: Sequence[Document],
    members: int,
    batch_tokens: int,
    advance: Callable[[int], None],
) -> list[DocumentScore]:
    """Return the membership scores of each document's raw text; the first `members` documents are members.

    Every token counts that the tokenizer makes of the text, special ones included, apart from the first. After each
    batch `advance` is called with its size.

    Raises InputError for a document longer than the model's context, one of fewer than two tokens, or a loss that is
    not a number.
    """
    sequences = [document_tokens(model, tokenizer, document) for document in documents]
    scores: dict[int, DocumentScore] = {}
    decoder = anatomy.decoder(model)
    with evaluation_mode(model):
        for batch in length_batches(list(map(len, sequences)), batch_tokens):
            chosen = [sequences[index] for index in batch]
            states, tokens, counts = states_before_scored(model, decoder, chosen, [1] * len(batch))
            parts = [token_scores(logits, tokens[some]) for some, logits in logits_by_part(model, decoder, states)]
            plain, standardised = (torch.split(torch.cat(values), counts) for values in zip(*parts, strict=True))
            for index, *values in zip(batch, plain, standardised, strict=True):
                scores[index] = document_score(documents[index], index < members, *values)
            advance(len(batch))
    return [scores[index] for index in range(len(documents))]


def document_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, document: Document) -> list[int]:
    """Return the token ids of the text. Raises InputError for fewer than two, and for more than the context holds."""
    tokens: list[int] = tokenizer(document.text)["input_ids"]
    require_fits(model, f"document {document.id}", len(tokens), 0)
    if len(tokens) < 2:
        raise InputError(f"document {document.id}: {len(tokens)} token; must have 2 or more to have a loss")
    return tokens


def token_scores(logits: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Return two values (T,) of the likelihood of the tokens (T,) by the logits (T, V) before them.

    - log p(x_t), in nats, 0 or less.
    - (log p(x_t) - mu) / sigma with the mean mu and the standard deviation sigma of log p(z) for z drawn from p, over
      the whole vocabulary (Zhang et al. 2024, arXiv 2404.02936).

    Both are computed in float32 or better, for a few positions at a time, so that there is never a second tensor of the
    size of the logits.
    """
    step = max(1, STATISTICS_LIMIT // logits.shape[1])
    wide = torch.promote_types(logits.dtype, torch.float32)
    parts = [
        _token_scores(logits[start : start + step].to(wide), tokens[start : start + step, None])
        for start in range(0, len(tokens), step)
    ]
    plain, standardised = zip(*parts, strict=True)
    return torch.cat(plain), torch.cat(standardised)


def _token_scores(logits: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Return `token_scores` of a few positions, for logits (T, V) in float32 or better and tokens (T, 1)."""
    largest = logits.amax(1, keepdim=True)
    behind = logits - largest
    weights = behind.exp()
    total = weights.sum(1, keepdim=True)
    # This is the order of operations of torch.logsumexp, so that losses are bitwise equal to those made with it.
    plain = logits.gather(1, tokens) - (total.log() + largest)
    # Since log p = behind - log(total), both have the same sigma, and the same distance from their means.
    behind.clamp_(min=LEAST_LOG_RATIO)
    mean = (weights * behind).sum(1, keepdim=True) / total
    distance = behind.gather(1, tokens) - mean
    variance = behind.sub_(mean).square_().mul_(weights).sum(1, keepdim=True) / total
    # sigma is 0 where one token is certain or all are equally likely; then a token at distance 0 has the value 0.
    sigma = variance.clamp(min=torch.finfo(variance.dtype).tiny).sqrt()
    return plain[:, 0], (distance / sigma)[:, 0]
