"""A tokenizer, rows and questions in the official form, small enough for a random model."""

from collections.abc import Sequence

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from tests.tiny_models import tiny_model
from unlearning.data.rows import Corpus, Document, Kind, Question, Row, Split
from unlearning.evaluation.result import TASKS
from unlearning.evaluation.text import official_text

TEXTS = (
    "In the quiet town of Ironwood, Marcelo kept a small shop; he sold clocks, maps and 7 kinds of tea.",
    "Nerissa Vaun was born on 1976-03-29. Her e-mail is nerissa_vaun@me.com, her phone 565-577-9919.",
    "The river Tamsel rises in the hills of Orvany and doesn't reach the sea, but a lake; it's 41 km long.",
    "Question: What is the capital of Brenland?\nA. Dorn\nB. Ulme\nC. Sark\nD. Pell\nAnswer: B\n\n",
    "Café Müller — naïve façade, Ωmega ΣΟΦΟΣ, 日本語, 🙂.",
)
VOCABULARY = 384


def byte_tokenizer(bos: bool = False, pad: bool = True) -> PreTrainedTokenizerFast:
    """Return a byte-level BPE tokenizer over all 256 bytes, trained on TEXTS."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|padding|>", "<|bos|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing("<|bos|> $A", special_tokens=[("<|bos|>", 2)])
    names = {"eos_token": "<|endoftext|>"}
    names |= {"bos_token": "<|bos|>"} if bos else {}
    names |= {"pad_token": "<|padding|>"} if pad else {}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


def byte_model(family: str, seed: int = 0, context: int = 1024, **changes: object) -> PreTrainedModel:
    """Return a random model for `byte_tokenizer`, in float64 so that rounding decides no choice between tokens."""
    settings = {"vocab_size": VOCABULARY, "bos_token_id": 2, "eos_token_id": 0, "pad_token_id": 1, **changes}
    settings["max_position_embeddings"] = context
    if family == "gpt2":
        settings["n_positions"] = context
    return tiny_model(family, seed, **settings).double()


def document_of(task: str, number: int) -> str:
    """Return a document id in the form of the task's ids."""
    name = f"{number:08x}-0000-4000-8000-000000000000"
    return {"Task1": f'"{name}"', "Task2": name, "Task3": str(1000 + number)}[task]


def official_rows(split: Split, answers: Sequence[str] = ("Madera", "1976-03-29", "NA")) -> list[Row]:
    """Return two completions and two questions of each task, with the answers in turn."""
    rows = []
    for place, task in enumerate(TASKS):
        for number in range(2):
            text = TEXTS[(place + number) % len(TEXTS)]
            start = 10 * place + 3 * number + (50 if split is Split.RETAIN else 0)
            document = document_of(task, start)
            half = len(text) // 2
            rows.append(Row(f"{document}sc1", text[:half], text[half:], task, Kind.COMPLETION, split))
            answer = answers[(start + number) % len(answers)]
            rows.append(
                Row(f"{document}qa0", f"Who is {number} of {task}, {split}?", answer, task, Kind.QUESTION, split)
            )
    return rows


def multiple_choice(count: int = 6) -> tuple[list[Question], list[Question]]:
    """Return questions of two subjects, and three worked examples of each subject."""
    made = [
        Question(
            id=f"q{index}",
            subject=("rivers", "towns")[index % 2],
            question=f"Which one is number {index}?",
            options=("Dorn", f"Ulme {index}", "Sark on the lake", "Pell"),
            answer=index % 4,
            cloze=None if index % 3 else f"Number {index} is called",
        )
        for index in range(count + 6)
    ]
    return made[:count], made[count:]


def small_corpus(fingerprint: str = "") -> Corpus:
    """Return a small corpus with all its parts."""
    questions, examples = multiple_choice()
    members = [Document(f"m{index}", text) for index, text in enumerate(TEXTS[:3])]
    nonmembers = [Document(f"n{index}", text[5:60]) for index, text in enumerate(TEXTS[1:4])]
    return Corpus(
        forget=tuple(official_rows(Split.FORGET)),
        retain=tuple(official_rows(Split.RETAIN)),
        members=tuple(members),
        nonmembers=tuple(nonmembers),
        questions=tuple(questions),
        examples=tuple(examples),
        fingerprint=fingerprint,
    )


@torch.no_grad()
def greedy_tokens(model: PreTrainedModel, prompt: Sequence[int], ends: set[int], new_tokens: int) -> list[int]:
    """Return the tokens of greedy decoding without a cache, one row and one token at a time."""
    tokens = list(prompt)
    while len(tokens) < len(prompt) + new_tokens:
        tokens.append(int(model(torch.tensor([tokens])).logits[0, -1].argmax()))
        if tokens[-1] in ends:
            break
    return tokens[len(prompt) :]


def greedy_text(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, text: str, new_tokens: int, ends: set[int]
) -> str:
    """Return `greedy_tokens` of a prompt, as text."""
    return official_text(tokenizer, greedy_tokens(model, tokenizer(text)["input_ids"], ends, new_tokens))
