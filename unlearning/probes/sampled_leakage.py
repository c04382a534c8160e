"""The probe that draws many random answers: what a greedy answer hides may come up in one of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from unlearning.config.probe import Measured
from unlearning.data.encoding import encode_prompts
from unlearning.data.rows import Kind, Row
from unlearning.evaluation.answer_score import answer_score
from unlearning.evaluation.generation import end_tokens
from unlearning.evaluation.leakage import sampled_leak, unseen_bound
from unlearning.evaluation.sampling import Sampling, sample_answers
from unlearning.probes.forget_answers import MEASURES, forget_rows, score_rows
from unlearning.probes.leakage_curve import leakage_measurement
from unlearning.probes.probe import Measurement, ProbedModel


@dataclass(frozen=True)
class SampledLeakage:
    """leak@k of questions or completions: the expected best score of k random answers to a row.

    It is estimated without bias from n samples (`evaluation.leakage`), each scored as the evaluation scores a greedy
    answer: exact match, or ROUGE-L recall. n is `samples`, or as many as `budget_tokens` allow where these are fewer: a
    sample counts with the tokens of the right answer and its end for a question, whose wrong answers are cut short, and
    with the most tokens of an answer for a completion. Numbers in `counts` above n have no estimate, and are left out.

    Source: Leak@k, arXiv 2511.04934: n = 200, k = 1, 2, 4 ... 128, temperature 1, top_p 1. Their code drew from the 50
    likeliest tokens, as `generate` does by default; here all tokens are drawn.
    """

    counts: list[int]
    samples: int
    temperature: float
    top_p: float
    budget_tokens: int
    measured: Measured
    seed: int

    @property
    def title(self) -> str:
        """What is drawn."""
        return f"the best of {self.counts[-1]} random answers, drawn at temperature {self.temperature:g}"

    @property
    def measure(self) -> str:
        """The measure at the largest number of samples."""
        return f"leak@{self.counts[-1]}, {MEASURES[self.measured]}"

    def run(self, probed: ProbedModel) -> Measurement:
        """Return each row's leak@k for the largest k that was drawn, with the curve over k."""
        rows, samples = forget_rows(probed.corpus, self.measured), self.affordable_samples(probed)
        texts = self._draw(probed, rows, samples)
        scores = [[answer_score(row, text) for text in own] for row, own in zip(rows, texts, strict=True)]
        counts = [count for count in self.counts if count <= samples] or [1]
        leaks = {count: [sampled_leak(own, count) for own in scores] for count in counts}
        best = [own[values.index(max(values))] for own, values in zip(texts, scores, strict=True)]
        notes = [
            f"{samples} samples a row; one without any leak among them may still leak with a probability of up to "
            f"{unseen_bound(samples):.3f} a sample"
        ]
        return leakage_measurement(rows, leaks, best, score_rows(probed, rows), notes)

    def affordable_samples(self, probed: ProbedModel) -> int:
        """Return the number of samples of each row: `samples`, or as many as the budget allows, at least one."""
        rows = forget_rows(probed.corpus, self.measured)
        answers = probed.tokenizer([row.output for row in rows], add_special_tokens=False)["input_ids"]
        most = probed.evaluation.max_new_tokens
        each = [
            min(most, len(tokens) + 1) if row.kind is Kind.QUESTION else most
            for row, tokens in zip(rows, answers, strict=True)
        ]
        return max(1, min(self.samples, self.budget_tokens // sum(each)))

    def _draw(self, probed: ProbedModel, rows: Sequence[Row], samples: int) -> list[list[str]]:
        model, tokenizer, settings = probed.model, probed.tokenizer, probed.evaluation
        prompts = encode_prompts([row.input for row in rows], tokenizer, probed.prompt)
        ends = end_tokens(model, tokenizer, probed.prompt)
        sampling = Sampling(samples, self.temperature, self.top_p, self.seed)
        return sample_answers(
            model, tokenizer, rows, prompts, ends, settings.max_new_tokens, settings.batch_tokens, sampling
        )
