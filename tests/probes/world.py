"""A forget set and a retain set of people, and random models that are asked about them."""

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tests.evaluation.tiny import byte_model, byte_tokenizer, document_of
from unlearning.config.evaluation import EvaluationConfig
from unlearning.config.prompt import PromptConfig
from unlearning.config.trainer import TrainerConfig
from unlearning.data.rows import Corpus, Kind, Row, Split
from unlearning.probes.probe import ProbedModel

NAMES = ("Ada", "Bea", "Cid", "Dov", "Eli", "Fay", "Gus", "Hal", "Ida", "Jon")
TOWNS = ("Dorn", "Ulme", "Sark", "Pell", "Kiel", "Vaun", "Orly", "Tams", "Bren", "Madera City")


def people(split: Split, count: int = 10) -> tuple[Row, ...]:
    """Return a completion and two questions of each person; no two people share an answer."""
    first = 0 if split is Split.FORGET else 40
    rows = []
    for number in range(count):
        name, town, document = NAMES[number], TOWNS[number], document_of("Task2", first + number)
        asked = [
            ("sc1", f"{name} of {split}", f"lives in {town}.", Kind.COMPLETION),
            ("qa0", f"Where does {name} of {split} live?", town, Kind.QUESTION),
            ("qa1", f"What is {name} of {split}'s number?", f"{1000 + 7 * number}", Kind.QUESTION),
        ]
        rows += [Row(f"{document}{end}", text, answer, "Task2", kind, split) for end, text, answer, kind in asked]
    return tuple(rows)


def corpus(count: int = 10) -> Corpus:
    """Return a corpus with as many people in the forget set as in the retain set."""
    return Corpus(forget=people(Split.FORGET, count), retain=people(Split.RETAIN, count))


def probed(
    model: PreTrainedModel | None = None, tokenizer: PreTrainedTokenizerBase | None = None, count: int = 10
) -> ProbedModel:
    """Return a model on the CPU, a random one by default, with everything that decides what it is asked."""
    return ProbedModel(
        model=model or byte_model("olmo").float(),
        tokenizer=tokenizer or byte_tokenizer(),
        corpus=corpus(count),
        prompt=PromptConfig(),
        evaluation=EvaluationConfig(max_new_tokens=4),
        trainer=TrainerConfig(accelerator="cpu", pack_tokens=64),
    )
