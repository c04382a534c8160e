"""The probe that computes how likely a forgotten answer is among many random answers, without drawing any."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan

import numpy as np

from unlearning.config.probe import Measured
from unlearning.data.encoding import encode_prompts
from unlearning.data.rows import Row
from unlearning.errors import InputError
from unlearning.evaluation.continuations import PromptContinuations, continuation_log_likelihoods
from unlearning.evaluation.generation import end_tokens
from unlearning.evaluation.leakage import exact_leak
from unlearning.evaluation.model_state import require_fits
from unlearning.evaluation.spellings import Speller
from unlearning.probes.forget_answers import forget_rows, score_rows
from unlearning.probes.leakage_curve import leakage_measurement
from unlearning.probes.probe import Measurement, ProbedModel
from unlearning.progress.shown import shown_progress


@dataclass(frozen=True)
class ExactLeakage:
    """leak@k of questions: the probability that the answer is among k random ones, at temperature 1 and top_p 1.

    p is the probability that the model writes the answer, and then ends. It is the sum over up to `spellings` token
    sequences that read as the answer, with a space before it and without, each followed by a token that ends it; and
    leak@k is 1 - (1 - p) ** k. So it takes one pass and has no noise, and small p are told apart that no sample would
    find. It is a lower bound: other spellings, and the same answer in other letters' case, would leak too.

    Source of leak@k: Leak@k, arXiv 2511.04934, where it is sampled.
    """

    counts: list[int]
    spellings: int

    @property
    def title(self) -> str:
        """What is computed."""
        return f"probability of the answer among {self.counts[-1]} random ones, computed"

    @property
    def measure(self) -> str:
        """The measure at the largest number of samples."""
        return f"leak@{self.counts[-1]}, exact"

    def run(self, probed: ProbedModel) -> Measurement:
        """Return each question's leak@k, with the curve over k. Raises InputError for logits that are not a number."""
        rows = forget_rows(probed.corpus, Measured.knowledge)
        logs = self.log_probabilities(probed, rows)
        leaks = {count: [exact_leak(log, count) for log in logs] for count in self.counts}
        answers = [f"ln p = {log:.2f}" for log in logs]
        note = f"a lower bound, over up to {self.spellings} spellings of each answer; median ln p {np.median(logs):.1f}"
        return leakage_measurement(rows, leaks, answers, score_rows(probed, rows), [note])

    def log_probabilities(self, probed: ProbedModel, rows: Sequence[Row]) -> list[float]:
        """Return the logarithm of each answer's p, in nats. Raises InputError for a row that is too long."""
        items = self._items(probed, rows)
        with shown_progress("answers' likelihoods", sum(len(item.continuations) for item in items)) as advance:
            found = continuation_log_likelihoods(probed.model, items, probed.evaluation.batch_tokens, advance)
        for row, own in zip(rows, found, strict=True):
            if any(map(isnan, own)):
                raise InputError(f"row {row.id}: the model's logits are not a number (NaN); its weights are broken")
        return [float(np.logaddexp.reduce(own)) for own in found]

    def _items(self, probed: ProbedModel, rows: Sequence[Row]) -> list[PromptContinuations]:
        """Return each row's prompt, with the token sequences that answer it and end."""
        model, tokenizer = probed.model, probed.tokenizer
        speller, ends = Speller(tokenizer), sorted(end_tokens(model, tokenizer, probed.prompt))
        prompts = encode_prompts([row.input for row in rows], tokenizer, probed.prompt)
        items = []
        for row, prompt in zip(rows, prompts, strict=True):
            written = {
                tokens for text in (f" {row.output}", row.output) for tokens in speller.spellings(text, self.spellings)
            }
            continuations = [(*tokens, end) for tokens in sorted(written) for end in ends]
            item = PromptContinuations(prompt, continuations, [0] * len(continuations))
            require_fits(model, f"row {row.id}", len(prompt), item.longest - 1)
            items.append(item)
        return items
