"""What the choices of an objective mean."""

from enum import StrEnum


class Averaging(StrEnum):
    """Denominators of a step's loss."""

    each_set = "each_set"
    """The mean over forget rows and the mean over retain rows, then the weighted sum of both."""
    whole_batch = "whole_batch"
    """The weighted sum over all rows, divided by the number of all rows (AILS-NTUA)."""


class CeilingUnit(StrEnum):
    """What objective.forget_ceiling_nats is compared with."""

    row = "row"
    """The mean loss of a row's tokens. Few very unlikely tokens can lift it while most are still the likeliest."""
    token = "token"
    """The loss of each token by itself."""


class AboveCeiling(StrEnum):
    """What becomes of a forget row, or of a token of it, above objective.forget_ceiling_nats."""

    stop = "stop"
    """It has no gradient. The others may carry it on."""
    turn = "turn"
    """Its gradient changes sign, so that it comes back to the ceiling (flooding, arXiv 2002.08709, with the sign of a
    row as in iFlood). For objectives that raise the loss of the rows' own answers."""


class Reduction(StrEnum):
    """How token losses become a set's loss."""

    row = "row"
    """The mean over a row's supervised tokens, then over rows."""
    token = "token"
    """The mean over all supervised tokens of the set."""


class Divergence(StrEnum):
    """How far the model has moved from the model before unlearning, at one position."""

    kl = "kl"
    """KL(reference, model)."""
    reverse_kl = "reverse_kl"
    """KL(model, reference)."""
    js = "js"
    """Jensen-Shannon divergence."""
    renyi = "renyi"
    """Renyi divergence of order objective.renyi_order."""


class Answers(StrEnum):
    """Which answers stand in the forget rows."""

    own = "own"
    """The rows' own answers."""
    refusal = "refusal"
    """One of a few ways to say "I don't know"."""
    random = "random"
    """As many random tokens as the own answer has."""
    other = "other"
    """The answer to another forget question of its kind."""
    repeated = "repeated"
    """The words "No Idea" over and over, as many tokens as the own answer has."""
    own_and_refusal = "own_and_refusal"
    """Both: each row occurs twice."""
    own_and_other = "own_and_other"
    """Both: each row occurs twice."""
    own_and_invented = "own_and_invented"
    """The own answer, and one that the model itself invents before it unlearns, when it is asked in a chat for other
    facts: each row occurs twice."""


BOTH_ANSWERS = (Answers.own_and_refusal, Answers.own_and_other, Answers.own_and_invented)
"""Those with two answers to a row."""


class ReferenceLoss(StrEnum):
    """What the retain loss must rise above before the adaptive weight grows."""

    step_mean = "step_mean"
    """The mean loss of the first epoch's steps."""
    sum_over_rows = "sum_over_rows"
    """The sum of the steps' losses over the number of retain rows: what the released code computes."""


class RatioUnit(StrEnum):
    """Whose probability is compared with the probability before unlearning."""

    answer = "answer"
    """The probability of the whole answer."""
    mean = "mean"
    """The geometric mean over the answer's tokens, which is not lower because an answer is long."""
    token = "token"
    """The probability of each token by itself."""
