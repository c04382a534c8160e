"""Judges of answers: a user's own function or command, and what they have said, kept for the next time."""

import json
import math
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from unlearning.config.dotted import located
from unlearning.errors import InputError
from unlearning.evaluation.exact_match import normal_form
from unlearning.identity import settings_hash

Judge = Callable[[str, str, str], float]
"""From a question, the expected answer and a model's answer to a score, from 0 (knows nothing) to 1 (knows it)."""


def contains(_question: str, expected: str, answer: str) -> float:
    """Return 1 where the answer holds the expected one anywhere, whatever else it says, else 0; case does not count."""
    return float(normal_form(expected) in normal_form(answer))


def function_judge(name: str) -> Judge:
    """Return the function of a dotted name, such as "my_judges.by_words". Raises InputError where there is none."""
    found = located(name, "judge")
    if not callable(found):
        raise InputError(f"judge={name}: not a function")
    judge: Judge = found
    return judge


def command_judge(command: Sequence[str], timeout_seconds: float) -> Judge:
    """Return a judge that starts the command for each answer.

    The command reads a JSON object with "question", "expected" and "answer", and prints a number. Raises InputError
    where there is no such program.
    """
    if shutil.which(command[0]) is None:
        raise InputError(f"judge {command[0]}: no such program")

    def judge(question: str, expected: str, answer: str) -> float:
        asked = json.dumps({"question": question, "expected": expected, "answer": answer})
        ended = subprocess.run(
            command, input=asked, capture_output=True, text=True, timeout=timeout_seconds, check=True
        )
        return float(ended.stdout)

    return judge


class KeptJudgements:
    """What a judge has said, in a file to which each judgement is added at once, so that a kill loses none."""

    def __init__(self, path: Path | None) -> None:
        """`path` is a JSONL file, made where it is missing; None: nothing is kept."""
        self.path = path
        self.scores: dict[str, float] = {}
        for line in path.read_text(encoding="utf-8").splitlines() if path is not None and path.exists() else ():
            try:
                found = json.loads(line)
                self.scores[found["key"]] = found["score"]
            except (ValueError, KeyError, TypeError):
                continue  # a kill has cut this line

    def score(self, judge: Judge, name: str, texts: tuple[str, str, str]) -> float:
        """Return the score of question, expected answer and answer; the judge is only asked what it has not yet said.

        `name` tells this judge from others. Raises InputError where the judge fails, or gives no number from 0 to 1: a
        failure is never taken for an answer that shows nothing.
        """
        key = settings_hash(name, texts)
        if key not in self.scores:
            try:
                score = float(judge(*texts))
            except Exception as error:  # whatever a user's own code raises
                raise InputError(f"judge {name}: failed on an answer ({type(error).__name__}: {error})") from error
            if not (math.isfinite(score) and 0 <= score <= 1):
                raise InputError(f"judge {name}: gave {score}; must be a number from 0 to 1")
            self._keep(key, score, texts)
        return self.scores[key]

    def _keep(self, key: str, score: float, texts: tuple[str, str, str]) -> None:
        self.scores[key] = score
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            line = dict(zip(("question", "expected", "answer"), texts, strict=True))
            with self.path.open("a", encoding="utf-8") as handle:
                # A line that a kill has cut is ended first.
                handle.write(f"\n{json.dumps({'key': key, 'score': score, **line})}")
