"""The priming probe: the model is given the beginning of an answer and asked for the rest."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from unlearning.config.probe import Measured
from unlearning.data.joint import join_rows
from unlearning.data.rows import Row
from unlearning.probes.forget_answers import MEASURES, forget_rows, score_prompts
from unlearning.probes.probe import DoesNotApplyError, Measurement, ProbedModel


@dataclass(frozen=True)
class Primed:
    """The score of the rest of an answer that begins with `prefix` and the first `words` words of the right answer.

    Rows whose answer has no more words than that are left out. Sources: completions of memorised text, Carlini et al.
    2023 (arXiv 2202.07646); answers that are begun for the model, Andriushchenko et al. 2024 (arXiv 2404.02151).
    """

    prefix: str
    words: int
    measured: Measured

    @property
    def title(self) -> str:
        """What the model is given."""
        words = "first word" if self.words == 1 else f"first {self.words} words"
        given = [f"“{self.prefix.strip()}”"] if self.prefix.strip() else []
        return f"answers begun with {' and '.join(given + [f'their {words}'] * (self.words > 0))}"

    @property
    def measure(self) -> str:
        """The measure of the rest of the answer."""
        return f"{MEASURES[self.measured]} of the rest" if self.words else MEASURES[self.measured]

    def run(self, probed: ProbedModel) -> Measurement:
        """Ask for the rest of each answer."""
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
        """Return the rows' prompts, each followed by its beginning as if the model had said it."""
        prompt = replace(probed.prompt, append_eos=False)
        joint = join_rows([row.input for row in rows], beginnings, probed.tokenizer, prompt)
        return [list(found.tokens.ids) for found in joint]


def split_words(text: str, count: int) -> tuple[str, str]:
    """Return the first `count` words of the text, and the rest after them, which is empty if there is no more."""
    found = re.match(rf"((?:\S+\s+){{{count}}})(\S.*)", text.strip(), re.DOTALL)
    return (found[1].rstrip(), found[2]) if found else (text.strip(), "")
