"""Models of Hugging Face's transformers as they come, where that is installed."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import Any

import onnx
import pytest
import torch
from tests.seeds import one_of
from tests.transformers_models import batch, calls, is_attention, same_as_torch

import tvm_vsq
from tvm_vsq.errors import ModelError
from tvm_vsq.frontend import import_model
from tvm_vsq.importing import import_checked

transformers = pytest.importorskip("transformers")


def bert(kind: str, layers: int = 1) -> Any:
    config = transformers.BertConfig(
        vocab_size=100,
        hidden_size=64,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=96,
        max_position_embeddings=32,
        attn_implementation=kind,
    )
    return transformers.BertModel(config).eval()


def llama(kind: str) -> Any:
    config = transformers.LlamaConfig(
        vocab_size=100,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=1,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=32,
        use_cache=False,
        attn_implementation=kind,
    )
    return transformers.LlamaModel(config).eval()


@pytest.mark.parametrize("kind", one_of(["eager", "sdpa"]))
@pytest.mark.parametrize(("rows", "length"), one_of([(3, 17), (1, 1)]))
def test_bert(kind, rows, length):
    module = same_as_torch(bert(kind), batch(rows, length, 100))
    assert is_attention(module)
    assert len(calls(module, "nn.layer_norm")) == 3
    assert len(calls(module, "take")) == 1  # those of places and token types are folded
    assert len(calls(module, "tanh")) == 1


@pytest.mark.large
def test_bert_takes_what_a_tokenizer_gives():
    given = batch(2, 6, 100)
    encoding = transformers.BatchEncoding(
        {
            "input_ids": given["input_ids"],
            "token_type_ids": torch.zeros(2, 6, dtype=torch.int64),
            "attention_mask": given["attention_mask"],
        }
    )
    module = import_checked(bert("sdpa"), encoding)
    assert [str(p.name) for p in module["main"].params] == ["input_ids", "attention_mask", "token_type_ids"]


@pytest.mark.parametrize("kind", one_of(["eager", "sdpa"]))
def test_llama(kind):
    module = same_as_torch(llama(kind), batch(2, 9, 100))
    assert is_attention(module)
    assert len(calls(module, "nn.rms_norm")) == 3


@pytest.mark.large
@pytest.mark.parametrize("kind", ["eager", "sdpa"])
def test_llama_finds_its_own_mask(kind):
    module = same_as_torch(llama(kind), {"input_ids": torch.randint(0, 100, (2, 9))})
    assert is_attention(module)
    assert not calls(module, "cumsum")  # which sequence a token is of: a constant
    assert not calls(module, "where")


def test_bert_of_onnx():
    class Plain(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = bert("sdpa")

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
            return tuple(self.model(input_ids, attention_mask).values())

    buffer, given = io.BytesIO(), batch(3, 17, 100)
    names = list(given)
    torch.onnx.export(
        Plain(),
        tuple(given.values()),
        buffer,
        dynamo=False,
        opset_version=14,
        input_names=names,
        dynamic_axes={name: {0: "batch", 1: "length"} for name in names},
    )
    module = import_checked(onnx.load_from_string(buffer.getvalue()), given)
    assert is_attention(module)
    assert len(calls(module, "nn.layer_norm")) == 3


@pytest.mark.large
def test_bert_on_the_chip(networks):
    model, given = bert("sdpa", layers=2), batch(3, 17, 100)
    data = [batch(3, 17, 100) for _ in range(6)]
    exe = tvm_vsq.compile(model, "vsq-accel-int8", example_inputs=given, calibration=data)
    results = exe(**given)
    assert all(torch.equal(a, b) for a, b in zip(results, exe.reference(**given), strict=True))
    with torch.no_grad():
        expected = model(**given)
    for ours, theirs in zip(results, expected.values(), strict=True):
        assert networks.sqnr_db(theirs.numpy(), ours.numpy()) > 30


def test_a_cache_among_the_results_is_refused_with_what_to_do():
    model = llama("eager")
    model.config.use_cache = True
    with pytest.raises(ModelError, match=r"in a DynamicCache.*set model\.config\.use_cache = False"):
        import_model(model, batch(1, 4, 100))


ARCHIVE = """
import sys
from pathlib import Path
if sys.argv[2] == "missing":
    sys.modules["transformers"] = None  # as where it is not installed
from tvm_vsq.frontend.torch_archive import read_archive
try:
    print(type(read_archive(Path(sys.argv[1]))).__name__)
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.large
def test_an_archive_of_a_stock_model_is_read_before_anyone_imports_transformers(tmp_path):
    torch.export.save(torch.export.export(bert("sdpa"), (), kwargs=batch(1, 4, 100)), tmp_path / "bert.pt2")

    def read(how):
        words = [sys.executable, "-c", ARCHIVE, str(tmp_path / "bert.pt2"), how]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()

    assert read("there") == "ExportedProgram"
    refused = read("missing")
    assert refused.startswith("ModelError the model in '")
    assert "returns or takes a 'transformers.modeling_outputs.BaseModelOutput" in refused
    assert "install transformers" in refused
    assert "return_dict=False" in refused
