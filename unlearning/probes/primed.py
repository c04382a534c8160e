"""The beginning of an answer is given away, and the rest is asked for."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from unlearning.config.probe import Measured
from unlearning.config.prompt import PromptConfig, PromptStyle
from unlearning.data.encoding import encode_prompts
from unlearning.data.rows import Row
from unlearning.probes.forget_answers import MEASURES, forget_rows, score_prompts
from unlearning.probes.probe import DoesNotApplyError, Measurement, ProbedModel


@dataclass(frozen=True)
class Primed:
    """Knowledge of the rest of an answer that begins with `prefix` and the first `words` words of the right one.

    Rows whose answer has no more words than that are left out. Sources: completions of memorised text, Carlini et al.
    2023 (arXiv 2202.07646); answers that are begun for the model, Andriushchenko et al. 2024 (arXiv 2404.02151).
    """

    prefix: str
    words: int
    measured: Measured

    @property
    def title(self) -> str:
        """What is given."""
        words = "first word" if self.words == 1 else f"first {self.words} words"
        given = [f"“{self.prefix.strip()}”"] if self.prefix.strip() else []
        return f"answers begun with {' and '.join(given + [f'their {words}'] * (self.words > 0))}"

    @property
    def measure(self) -> str:
        """Of the rest."""
        return f"{MEASURES[self.measured]} of the rest" if self.words else MEASURES[self.measured]

    def run(self, probed: ProbedModel) -> Measurement:
        """Ask for what is left of each answer."""
        rows = forget_rows(probed.corpus, self.measured)
        parts = [(row, *split_words(row.output, self.words)) for row in rows]
        asked = [(row, given, rest) for row, given, rest in parts if rest]
        if not asked:
            raise DoesNotApplyError(f"no answer has more than {self.words} words")
        beginnings = [" ".join(filter(None, (self.prefix.strip(), given))) for _, given, _ in asked]
        prompts = self._prompts([row for row, _, _ in asked], beginnings, probed)
        items = score_prompts(probed, [replace(row, output=rest) for row, _, rest in asked], prompts)
        left_out = len(rows) - len(asked)
        return Measurement(items, notes=[f"{left_out} of {len(rows)} answers are too short"] if left_out else [])

    def _prompts(self, rows: Sequence[Row], beginnings: Sequence[str], probed: ProbedModel) -> list[list[int]]:
        """The rows' prompts, then the beginnings as a model's own words."""
        prompts = encode_prompts([row.input for row in rows], probed.tokenizer, probed.prompt)
        texts = [_separator(probed.prompt) + beginning for beginning in beginnings]
        given: list[list[int]] = probed.tokenizer(texts, add_special_tokens=False)["input_ids"]
        return [prompt + own for prompt, own in zip(prompts, given, strict=True)]


def split_words(text: str, count: int) -> tuple[str, str]:
    """The first `count` words, and the rest after the white space that follows; empty where there is no more."""
    found = re.match(rf"((?:\S+\s+){{{count}}})(\S.*)", text.strip(), re.DOTALL)
    return (found[1].rstrip(), found[2]) if found else (text.strip(), "")


def _separator(prompt: PromptConfig) -> str:
    """What training put between a prompt and its answer."""
    return prompt.separator if prompt.style is PromptStyle.raw else ""
