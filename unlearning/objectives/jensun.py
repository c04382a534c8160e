"""Forgetting by the Jensen-Shannon divergence from one fixed text."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from unlearning.config.objective_choices import Answers
from unlearning.objectives.divergences import cross_entropy
from unlearning.objectives.rows import Reference
from unlearning.objectives.weighted import Weighted


@dataclass
class JensUn(Weighted):
    """F = mean over tokens of JS(onehot(y), p), where y are the tokens of "No Idea" over and over (arXiv 2509.02820).

    JS is the Jensen-Shannon divergence in nats, between 0 and log 2, and p the model's distribution. Against all mass
    on one token it depends on that token's probability q alone:

        JS = log 2 + (q log q - (1 + q) log(1 + q)) / 2

    Its gradient in the token's logit is q (1 - q) log(q / (1 + q)) / 2: bounded, it fades both where the text is learnt
    and where it is still improbable. The published retain term is the same divergence from the model before unlearning:
    retain_weight=0, divergence=js, divergence_weight=1; means are over all tokens, reduction=token.

    "No Idea" takes as many tokens as the row's own answer, after the question and after itself. The released code keeps
    the own answer before it, and gives each position, prompts and padding too, a target with mass 1 on both tokens.
    """

    @property
    def forget_answers(self) -> Answers:
        """The fixed text."""
        return Answers.repeated

    def forget_values(self, outputs: Tensor, targets: Tensor, reference: Reference) -> Tensor:  # noqa: ARG002
        """Return (n,) the divergence at each token, from logits (n, V) and targets (n,)."""
        nats = cross_entropy(outputs, targets)
        q = (-nats).exp()
        return math.log(2) - (q * nats + (1 + q) * torch.log1p(q)) / 2
