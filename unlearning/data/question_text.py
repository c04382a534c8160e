"""How a four-way question is written, in either format: the score and the sandbox's texts agree on it."""

from collections.abc import Sequence

from unlearning.data.rows import Question

LETTERS = "ABCD"
HARNESS_HEAD = "The following are multiple choice questions (with answers) about {subject}.\n\n"
"""As lm-evaluation-harness begins the prompts of MMLU and WMDP."""
MMLU_HEAD = HARNESS_HEAD.replace("about ", "about  ")
"""As the official MMLU script does, with two spaces before the subject."""


def option_continuation(option: str) -> str:
    """What follows a prompt of either format: a letter, or the option itself."""
    return f" {option}"


def letters_layer(question: Question) -> str:
    """The question, its options behind letters, and "Answer:"."""
    lines = [f"{letter}. {option}" for letter, option in zip(LETTERS, question.options, strict=True)]
    return "\n".join([question.question, *lines, "Answer:"])


def letters_prompt(question: Question, examples: Sequence[Question], head: str = MMLU_HEAD) -> str:
    """The wording of Hendrycks's MMLU test: the head with the subject, worked examples, the question.

    Source: https://github.com/hendrycks/test/blob/master/evaluate.py (format_subject, format_example, gen_prompt), as
    in Open-Instruct's eval/mmlu/run_eval.py, which the official evaluator refers to.
    """
    worked = (f"{letters_layer(one)}{option_continuation(LETTERS[one.answer])}\n\n" for one in examples)
    subject = question.subject.replace("_", " ")
    return f"{head.format(subject=subject)}{''.join(worked)}{letters_layer(question)}"


def cloze_prompt(question: Question) -> str:
    """The text after which each option's likelihood is measured."""
    return question.cloze if question.cloze is not None else f"Question: {question.question}\nAnswer:"
