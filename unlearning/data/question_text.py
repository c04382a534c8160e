"""How a four-way question is written, in either format: the score and the sandbox's texts agree on it."""

from collections.abc import Sequence

from unlearning.data.rows import Question

LETTERS = "ABCD"


def option_continuation(option: str) -> str:
    """What follows a prompt of either format: a letter, or the option itself."""
    return f" {option}"


def letters_block(question: Question) -> str:
    """The question, its options behind letters, and "Answer:"."""
    lines = [f"{letter}. {option}" for letter, option in zip(LETTERS, question.options, strict=True)]
    return "\n".join([question.question, *lines, "Answer:"])


def letters_prompt(question: Question, examples: Sequence[Question]) -> str:
    """The wording of Hendrycks's MMLU test, worked examples first.

    Source: https://github.com/hendrycks/test/blob/master/evaluate.py (format_example, gen_prompt).
    """
    subject = question.subject.replace("_", " ")
    head = f"The following are multiple choice questions (with answers) about {subject}.\n\n"
    worked = (f"{letters_block(one)}{option_continuation(LETTERS[one.answer])}\n\n" for one in examples)
    return f"{head}{''.join(worked)}{letters_block(question)}"


def cloze_prompt(question: Question) -> str:
    """The text after which each option's likelihood is measured."""
    return question.cloze if question.cloze is not None else f"Question: {question.question}\nAnswer:"
