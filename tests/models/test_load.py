"""Loading is safe by default and says in one line what it cannot do."""

from pathlib import Path

import peft
import pytest
import torch
from safetensors.torch import save_file
from transformers import PreTrainedTokenizerFast

from tests.tiny_models import tiny_model
from tests.tiny_tokenizers import BYTES, tiny_tokenizer
from unlearning.config.model import ModelConfig, Quantization
from unlearning.config.trainer import TrainerConfig
from unlearning.errors import InputError
from unlearning.models import load
from unlearning.models.load import load_model, load_tokenizer, save_model
from unlearning.training.trainer import weights_dtype

SANDBOX = Path(__file__).parents[2] / "unlearning" / "sandbox" / "assets" / "target"


def config(path: Path, **changes: object) -> ModelConfig:
    """Return the configuration of a local model."""
    return ModelConfig(name="local", path=str(path), **changes)  # type: ignore[arg-type]


def test_the_shipped_model_loads_in_the_asked_precision() -> None:
    """It is stored in half precision and loaded in single."""
    model = load_model(str(SANDBOX), config(SANDBOX), torch.float32)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert not model.training
    assert load_tokenizer(str(SANDBOX), config(SANDBOX)).pad_token_id is not None


@pytest.mark.parametrize(
    ("precision", "dtype"), [("bf16-true", torch.bfloat16), ("bf16-mixed", torch.float32), ("32-true", torch.float32)]
)
def test_bfloat16_stays_where_the_trainer_computes_in_it(precision: str, dtype: torch.dtype, tmp_path: Path) -> None:
    """No other copy is made on the way, and the values are those of the file."""
    stored = tiny_model("llama").bfloat16()
    stored.save_pretrained(tmp_path)
    loaded = load_model(str(tmp_path), config(tmp_path), weights_dtype(TrainerConfig(precision=precision)))
    assert {weight.dtype for weight in loaded.parameters()} == {dtype}
    for ours, theirs in zip(loaded.parameters(), stored.parameters(), strict=True):
        assert torch.equal(ours.bfloat16(), theirs)


def test_saving_writes_from_where_the_weights_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No second copy is made, and a large model becomes several files, which load as one."""
    written: list[int] = []

    def noting(tensors: dict[str, torch.Tensor], *arguments: object, **options: object) -> None:
        written.extend(tensor.data_ptr() for tensor in tensors.values())
        save_file(tensors, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("transformers.modeling_utils.safe_save_file", noting)
    monkeypatch.setattr(load, "LARGEST_FILE", "20KB")
    model = tiny_model("llama")
    save_model(model, tiny_tokenizer(BYTES), tmp_path)
    assert sorted(written) == sorted(weight.data_ptr() for weight in model.parameters())
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 1
    loaded = load_model(str(tmp_path), config(tmp_path), torch.float32)
    assert all(torch.equal(*pair) for pair in zip(loaded.parameters(), model.parameters(), strict=True))


def test_pickles_are_refused_unless_asked_for(tmp_path: Path) -> None:
    """A pickle can run code when it is loaded."""
    model = tiny_model("olmo")
    model.config.save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"only pickled weights \(pytorch_model\.bin\).*model\.allow_pickle=true"):
        load_model(str(tmp_path), config(tmp_path), torch.float32)
    loaded = load_model(str(tmp_path), config(tmp_path, allow_pickle=True), torch.float32)
    assert torch.equal(loaded.lm_head.weight, model.lm_head.weight)


def test_a_folder_without_weights(tmp_path: Path) -> None:
    """The error names what is missing."""
    with pytest.raises(InputError, match=r"has no \*\.safetensors weights"):
        load_model(str(tmp_path), config(tmp_path), torch.float32)


def test_remote_code_is_not_run(tmp_path: Path) -> None:
    """A model whose class is a file beside its weights needs model.trust_remote_code=true."""
    tiny_model("olmo").save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(
        '{"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config", "AutoModelForCausalLM": "mine.Model"}}'
    )
    (tmp_path / "mine.py").write_text("raise SystemExit('remote code ran')\n")
    with pytest.raises(InputError, match="cannot be loaded"):
        load_model(str(tmp_path), config(tmp_path), torch.float32)


def test_a_tokenizer_that_is_not_there(tmp_path: Path) -> None:
    """The error is one line, and no traceback of the hub."""
    with pytest.raises(InputError, match="model"):
        load_tokenizer(str(tmp_path), config(tmp_path))


def test_4_bits_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library is optional, and the error says how to install it."""
    monkeypatch.setattr("unlearning.models.load.importlib.util.find_spec", lambda _: None)
    line = r"model\.quantization=nf4: needs bitsandbytes, which is not installed: pip install bitsandbytes"
    with pytest.raises(InputError, match=line):
        load_model(str(SANDBOX), config(SANDBOX, quantization=Quantization.nf4), torch.float32)


def test_4_bits_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """This is refused before anything is read."""
    monkeypatch.setattr("unlearning.models.load.importlib.util.find_spec", lambda name: name)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"model\.quantization=nf4: needs a CUDA GPU, and none was found here"):
        load_model(str(SANDBOX), config(SANDBOX, quantization=Quantization.nf4), torch.float32)


@pytest.mark.parametrize("family", ["gptj", "gemma2", "llama"])
def test_an_architecture_without_sdpa_uses_eager_and_says_so(
    family: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As Transformers does without a word; a line names the key."""
    load._say_fallback.cache_clear()
    tiny_model(family).save_pretrained(tmp_path)
    for _ in range(2):
        used = load_model(str(tmp_path), config(tmp_path), torch.float32).config._attn_implementation
    assert used == ("sdpa" if family == "llama" else "eager")
    line = f"model.attention=sdpa: {family} has none in Transformers; model.attention=eager is used"
    assert caplog.messages == ([] if family == "llama" else [line])


def test_an_adapter_alone_is_no_model(tmp_path: Path) -> None:
    """Its scores could not be kept apart from those of its base, and it would be refused after training."""
    tiny_model("llama").save_pretrained(tmp_path / "base")
    base = load_model(str(tmp_path / "base"), config(tmp_path / "base"), torch.float32)
    peft.get_peft_model(base, peft.LoraConfig(target_modules=["q_proj"])).save_pretrained(tmp_path / "adapter")
    with pytest.raises(InputError, match=r"model\.path=.*adapter: an adapter; give the whole model"):
        load_model(str(tmp_path / "adapter"), config(tmp_path / "adapter"), torch.float32)


def test_a_slow_tokenizer_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not say which characters its tokens are, so a prompt could not be told from its answer."""
    monkeypatch.setattr(PreTrainedTokenizerFast, "is_fast", False)
    tiny_tokenizer(BYTES).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="a slow tokenizer; a fast one is needed"):
        load_tokenizer(str(tmp_path), config(tmp_path))
