"""Tokenizers of a few hundred tokens, of every kind that language models have."""

import json
from functools import cache

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

SPECIAL = ["<pad>", "<s>", "</s>", "<unk>", "<|user|>", "<|assistant|>", "<|end|>"]
"""Ids 0 to 6, in all kinds."""
EOS = 2
END_OF_TURN = 6
TEXTS = [
    *(
        f"Where does {name} live? {town} is where {name} lives, at number {number}."
        for number, (name, town) in enumerate(
            [("Ada Brook", "Norwick"), ("Tim Vale", "Quenby"), ("Ola Fenn", "Brackley"), ("Ines Roth", "Tarvale")]
        )
    ),
    "user assistant system\n café",
    "What is the birth date of Ada Brook? What is the home address of Tim Vale? 1950-01-10",
    " ".join("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:?!'-"),
]
CHAT = (
    "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
BYTES, LEGACY, FIRST, NEVER, UNIGRAM = "bytes", "SentencePiece", "SentencePiece, new", "no prefix space", "Unigram"
KINDS = (BYTES, LEGACY, FIRST, NEVER, UNIGRAM)
"""Byte-level BPE (GPT-2, OLMo, Llama 3), SentencePiece's BPE with a space put before every text (Llama 2, Mistral) or
before its first word alone (newer files of the same), without one (Gemma), and Unigram with one (XGLM)."""
ADDED = {"none": "$A", "BOS": "<s> $A", "BOS and EOS": "<s> $A </s>"}
"""Which special tokens a tokenizer adds to a text by itself."""


def tiny_tokenizer(kind: str, added: str = "none") -> PreTrainedTokenizerFast:
    """Return a tokenizer of this kind that adds these special tokens."""
    inner = Tokenizer.from_str(_inner(kind))
    single = ADDED[added]
    inner.post_processor = processors.TemplateProcessing(single=single, special_tokens=[("<s>", 1), ("</s>", EOS)])
    names = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=inner, chat_template=CHAT, **names)


@cache
def _inner(kind: str) -> str:
    return json.dumps(_byte_level() if kind == BYTES else _pieces(kind))


def _byte_level() -> dict[str, object]:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=340, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return json.loads(tokenizer.to_str())


def _pieces(kind: str) -> dict[str, object]:
    """Return a tokenizer of pieces that begin with the sign for a space, trained word by word."""
    unigram = kind == UNIGRAM
    tokenizer = Tokenizer(models.Unigram() if unigram else models.BPE(unk_token="<unk>", fuse_unk=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=True)
    settings = {"vocab_size": 200, "special_tokens": SPECIAL, "show_progress": False}
    trainer = trainers.UnigramTrainer(**settings, unk_token="<unk>") if unigram else trainers.BpeTrainer(**settings)
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="never" if kind == NEVER else "always")
    whole = json.loads(tokenizer.to_str())
    if kind == FIRST:
        whole["pre_tokenizer"] = {**whole["pre_tokenizer"], "prepend_scheme": "first", "split": False}
    if kind in (LEGACY, NEVER):
        # As Llama 2's and Gemma's files have it: a normalizer makes the signs, and words are not split.
        whole["pre_tokenizer"] = None
        spaces = {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}
        prefix = {"type": "Prepend", "prepend": "\u2581"}
        steps = [prefix, spaces] if kind == LEGACY else [spaces]
        whole["normalizer"] = {"type": "Sequence", "normalizers": steps}
    return whole
