"""How well a model gives an answer that is already in its input."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from transformers import PreTrainedModel

from unlearning.mediation.subject import Probe


@contextmanager
def evaluating(model: PreTrainedModel) -> Iterator[None]:
    """No dropout and no gradients inside; afterwards the model's mode is what it was."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)


def answer_logits(model: PreTrainedModel, probe: Probe, rows: int) -> Tensor:
    """Logits (rows, A, vocabulary) of the places that predict the answer's A tokens, teacher-forced.

    `rows` copies of the probe are fed; more come out if hooks let some join (`hooks.grown`). No attention mask
    is given: there is no padding, and none is needed.
    """
    count = len(probe.answer)
    ids = torch.tensor([probe.input_ids[:-1]], device=model.device).repeat(rows, 1)
    if "logits_to_keep" in inspect.signature(model.forward).parameters:
        output = model(input_ids=ids, use_cache=False, logits_to_keep=count)
    else:
        output = model(input_ids=ids, use_cache=False)
    logits: Tensor = output.logits[:, -count:]
    return logits


def answer_scores(logits: Tensor, probe: Probe) -> Tensor:
    """Scores (rows, M) of logits (rows, A, vocabulary), in the order of `METRICS`, float64 on the CPU.

    With l_i the log-probability of the answer's token i: exp(l_1), and the mean of all l_i.
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    answer = torch.tensor(probe.answer, device=logits.device).expand(len(logits), -1)
    logs = logits.gather(-1, answer.unsqueeze(-1)).squeeze(-1) - logits.logsumexp(-1)
    return torch.stack([logs[:, 0].exp(), logs.mean(1)], dim=-1).double().cpu()
