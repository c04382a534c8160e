"""How a question with four options is written, in two formats, for the score and for the sandbox's texts."""

from collections.abc import Sequence

from unlearning.data.rows import Question

LETTERS = "ABCD"
HARNESS_HEAD = "The following are multiple choice questions (with answers) about {subject}.\n\n"
"""The first line of lm-evaluation-harness's prompts for MMLU and WMDP."""
MMLU_HEAD = HARNESS_HEAD.replace("about ", "about  ")
"""The first line of the official MMLU script's prompts, which has two spaces before the subject."""


def option_continuation(option: str) -> str:
    """Return what follows a prompt: a space, and a letter or the option itself."""
    return f" {option}"


def question_with_letters(question: Question) -> str:
    """Return the question, its options after their letters, and "Answer:"."""
    lines = [f"{letter}. {option}" for letter, option in zip(LETTERS, question.options, strict=True)]
    return "\n".join([question.question, *lines, "Answer:"])


def letters_prompt(question: Question, examples: Sequence[Question], head: str = MMLU_HEAD) -> str:
    """Return a prompt as Hendrycks's MMLU test words it: the head with the subject, worked examples, the question.

    Source: https://github.com/hendrycks/test/blob/master/evaluate.py (format_subject, format_example, gen_prompt), as
    in Open-Instruct's eval/mmlu/run_eval.py, which the official evaluator refers to.
    """
    worked = (f"{question_with_letters(one)}{option_continuation(LETTERS[one.answer])}\n\n" for one in examples)
    subject = question.subject.replace("_", " ")
    return f"{head.format(subject=subject)}{''.join(worked)}{question_with_letters(question)}"


def cloze_prompt(question: Question) -> str:
    """Return the text after which each option's likelihood is measured."""
    return question.cloze if question.cloze is not None else f"Question: {question.question}\nAnswer:"
