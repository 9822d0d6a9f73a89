"""Decoders whole on the chip: LLaMA as it comes, and one whose keys and values are cached, block by block and
token by token.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from tests.decoders import VOCABULARY, Decoder
from tests.seeds import one_of

import tvm_vsq
from tvm_vsq.errors import ModelError, QuantizationError
from tvm_vsq.graph import bindings, constant_array, op_name
from tvm_vsq.layers.row_tables import RECIPROCAL_EXPONENT
from tvm_vsq.numerics.rows import probability_rows
from tvm_vsq.transform import fuse

transformers = pytest.importorskip("transformers")

TARGETS = {"8/8/-/-": "vsq-accel-int8", "4/4/4/4": "vsq-accel", "4/8/6/10": "vsq-accel-w4a8"}
LEAST_DB = {"8/8/-/-": 28, "4/4/4/4": 12, "4/8/6/10": 15}
FORMATS = [
    "4/4/4/4",
    pytest.param("8/8/-/-", marks=pytest.mark.large),
    pytest.param("4/8/6/10", marks=pytest.mark.large),
]
HIDDEN, BLOCK, PAST = -1e9, 16, 32


def first(results):
    return results[0] if isinstance(results, tuple) else results


@pytest.mark.parametrize(
    ("formats", "rows", "groups", "masked"),
    [
        ("4/4/4/4", 1, 2, False),
        pytest.param("8/8/-/-", 2, 4, True, marks=pytest.mark.large),
        pytest.param("4/8/6/10", 1, 1, True, marks=pytest.mark.large),
        pytest.param("4/4/4/4", 2, 1, True, marks=pytest.mark.large),
    ],
)
def test_a_llama_is_whole_on_the_chip(networks, formats, rows, groups, masked):
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=50,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=1,
        num_attention_heads=4,
        num_key_value_heads=groups,
        head_dim=32,
        use_cache=False,
    )
    model = transformers.LlamaModel(config).eval()

    def batch():
        return {"input_ids": torch.randint(0, 50, (rows, 18)), **({"attention_mask": mask} if masked else {})}

    mask = torch.ones(rows, 18, dtype=torch.int64)
    mask[-1, :5] = 0  # rows that are masked as a whole
    given, data = batch(), [batch() for _ in range(4)]
    network = tvm_vsq.fake_quantize(
        model, quant=formats, target=TARGETS[formats], example_inputs=given, calibration=data
    )
    exe = tvm_vsq.compile(network, network.hardware, strict=True)
    result = first(exe(**given))
    with torch.no_grad():
        assert torch.equal(result, first(network(**given)))
        expected = first(model(**given).to_tuple())
    assert torch.equal(result, first(exe.reference(**given)))
    seen = mask.bool() if masked else torch.ones_like(mask).bool()
    assert networks.sqnr_db(expected[seen].numpy(), result[seen].numpy()) > LEAST_DB[formats]
    joined = [layer.name for layer in exe.timing().layers if " + rotary" in layer.name]
    assert len(joined) == (2 if rows == 1 else 0)  # queries and keys are turned where they are made
    assert any(layer.name.endswith(" + add_0") for layer in exe.timing().layers)
    assert not any("order of channels" in row.layer for row in exe.explain())


def cached(formats):
    return tvm_vsq.QuantConfig.parse(formats, attention="cached")


def inputs(tokens, first_position, length, visible):
    """What a decoder takes but for its caches, of `length` places, of which the first ones are `visible`."""
    count = tokens.shape[1]
    mask = torch.full((1, 1, count, length + count), HIDDEN)
    mask[..., :visible] = 0
    mask[..., length:] = torch.full((count, count), HIDDEN).triu(1)
    return tokens, torch.arange(first_position, first_position + count), mask


def empty(layers):
    return [
        torch.zeros(1, PAST, 64) if i % 2 == 0 else torch.zeros(PAST // BLOCK, 64, BLOCK)
        for i in range(2 * layers)
    ]


def no_vectors(exe):
    """Caches of zeros, whose scales are 1."""
    found = [torch.zeros(spec.shape, dtype=torch.int16) for spec in exe.metadata.inputs[3:]]
    for cache in found:
        cache[..., -1] = 1
    return found


def samples(model, count):
    """Blocks of random texts, with the caches that those before leave."""
    found = []
    for _ in range(count):
        caches = empty(len(model.layers))
        for start in range(0, PAST + BLOCK, BLOCK):
            given = inputs(torch.randint(0, VOCABULARY, (1, BLOCK)), start, PAST, start)
            found.append((*given, *(cache.clone() for cache in caches)))
            _, *new = model(*found[-1])
            insert(caches, new, start) if start < PAST else None
    return found


def insert(caches, new, start):
    """A block of keys and values from position `start` on."""
    for cache, made in zip(caches, new, strict=True):
        axis, place = (1, start) if cache.shape[0] == 1 else (0, start // BLOCK)
        cache.narrow(axis, place, made.shape[axis]).copy_(made)


@pytest.mark.parametrize(
    ("formats", "loses"),
    [pytest.param("4/4/4/4", False, marks=pytest.mark.large), ("4/8/6/10", True)],  # of 16 bits, 8 are kept
)
@torch.no_grad()
def test_scales_of_one_that_the_target_rounds_away_are_warned_of(formats, loses):
    model = Decoder().eval()
    data = samples(model, 1)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        tvm_vsq.quantize_model(
            model, TARGETS[formats], quant=cached(formats), example_inputs=data[0], calibration=data
        )
    warned = [str(each.message) for each in found if "attention='cached'" in str(each.message)]
    assert len(warned) == loses
    for message in warned:
        for said in ("'matmul_", "scale_product_bits=8", "lowest 8 bits"):
            assert said in message


@pytest.mark.parametrize("formats", FORMATS)
@torch.no_grad()
def test_a_block_of_tokens_does_not_depend_on_those_behind(networks, formats):
    torch.manual_seed(0)
    model = Decoder().eval()
    data = samples(model, 3)
    vectors = ["caches_0", "caches_1", 1, 2]
    exe = tvm_vsq.compile(
        model,
        TARGETS[formats],
        quant=cached(formats),
        example_inputs=data[0],
        calibration=data,
        vectors=vectors,
        strict=True,
    )
    tokens, caches = torch.randint(0, VOCABULARY, (1, PAST + BLOCK)), no_vectors(exe)
    whole, steps = [], []
    for start in range(0, PAST + BLOCK, BLOCK):
        block = tokens[:, start : start + BLOCK]
        for place in range(0, BLOCK, 5):
            others = torch.randint(0, VOCABULARY, (1, BLOCK))
            others[:, : place + 1] = block[:, : place + 1]
            result, *_ = exe(*inputs(others, start, PAST, start), *caches)
            steps.append((start + place, result[:, place]))
        given = (*inputs(block, start, PAST, start), *caches)
        result, *new = exe(*given)
        for ours, theirs in zip((result, *new), exe.reference(*given), strict=True):
            assert torch.equal(ours, theirs)
        whole.append(result)
        if start < PAST:
            insert(caches, new, start)
    found = torch.cat(whole, 1)
    assert all(torch.equal(found[:, place], step) for place, step in steps)
    causal = torch.full((PAST + BLOCK, PAST + BLOCK), HIDDEN).triu(1)[None, None]
    expected = model(tokens, torch.arange(PAST + BLOCK), causal)[0]
    assert networks.sqnr_db(expected.numpy(), found.numpy()) > LEAST_DB[formats]


@pytest.mark.large
@pytest.mark.parametrize("formats", FORMATS)
@torch.no_grad()
def test_steps_of_one_token_give_the_bits_of_all_at_once(networks, formats):
    torch.manual_seed(0)
    model, target, quant = Decoder(apart=True).eval(), TARGETS[formats], cached(formats)

    def prefill(tokens):
        own = torch.full((PAST, PAST), HIDDEN)
        before = own.triu(0)
        mask = torch.cat([before, own.fill_diagonal_(0)], 1)[None, None]
        return tokens, torch.arange(PAST), mask

    data = [prefill(torch.randint(0, VOCABULARY, (1, PAST))) for _ in range(4)]
    quantized = tvm_vsq.quantize_model(model, target, quant=quant, example_inputs=data[0], calibration=data)
    at_once = tvm_vsq.compile(quantized, target, vectors=(1, 2), strict=True)
    one = (*inputs(torch.zeros(1, 1, dtype=torch.int64), 0, PAST, 0), *(x + 0.1 for x in empty(1)))
    step = tvm_vsq.compile(
        model,
        target,
        quant=quant,
        example_inputs=one,
        like=quantized,
        vectors=("caches_0", "caches_1", 1, 2),
        strict=True,
    )
    tokens, (keys, values) = torch.randint(0, VOCABULARY, (1, PAST)), no_vectors(step)
    expected, *caches = at_once(*prefill(tokens))
    found = []
    for place in range(PAST):
        token = tokens[:, place : place + 1]
        result, key, value = step(*inputs(token, place, PAST, place), keys, values)
        keys[:, place] = key[:, 0]
        values[place // BLOCK, ..., place % BLOCK] = value[0, ..., 0]
        found.append(result)
    assert torch.equal(torch.cat(found, 1), expected)
    assert torch.equal(keys, caches[0])
    assert torch.equal(values, caches[1])
    assert networks.sqnr_db(model(*prefill(tokens))[0].numpy(), expected.numpy()) > LEAST_DB[formats]
    # what is cached lies in DRAM as vectors, of which a step loads all once
    hardware = step.hardware
    stored = PAST * 64 // hardware.vector_size * 2 * hardware.second_record_bytes
    assert step.timing().dram_bytes > stored
    assert step.timing().cycles < at_once.timing().cycles


@pytest.mark.parametrize("attention", ["whole", "cached"])
@torch.no_grad()
def test_what_is_masked_adds_nothing_where_keys_are_cached(attention):
    torch.manual_seed(0)
    data = samples(Decoder(), 1)
    quant = tvm_vsq.QuantConfig.parse("4/4/4/4", attention=attention).unfitted()
    quantized = tvm_vsq.quantize_model(
        Decoder().eval(), quant=quant, example_inputs=data[0], calibration=data
    )
    fused = fuse(quantized, tvm_vsq.load_hardware("vsq-accel"))["main"]
    (softmax,) = [b.value for b in bindings(fused) if op_name(b.value) == "vsq.softmax"]
    exponentials, reciprocals = constant_array(softmax.args[1])
    least = exponentials[0, 0]
    assert least == (attention == "whole")
    rows = np.random.default_rng(0).integers(-(1 << 16), 1 << 16, (40, 30))
    hidden = np.full((40, 4000), -(1 << 30))
    short, long = (
        probability_rows(each, exponentials, reciprocals, 0, RECIPROCAL_EXPONENT, masked=True)
        for each in (rows, np.concatenate([rows, hidden], -1))
    )
    assert np.array_equal(short, long[:, :30]) == (least == 0)


@torch.no_grad()
def test_what_is_not_alike_and_no_vectors_are_refused():
    torch.manual_seed(0)
    model, other, given = Decoder().eval(), Decoder().eval(), samples(Decoder(), 1)
    quant = tvm_vsq.QuantConfig.parse("8/8/-/-", attention="cached").unfitted()
    settings = {"quant": quant, "example_inputs": given[0]}
    quantized = tvm_vsq.quantize_model(model, "vsq-accel-int8", calibration=given, **settings)
    with pytest.raises(QuantizationError, match="has other weights in the network whose numbers are to be"):
        tvm_vsq.quantize_model(other, "vsq-accel-int8", like=quantized, **settings)
    deeper = Decoder(2).eval()
    deeper.load_state_dict(model.state_dict(), strict=False)
    with pytest.raises(QuantizationError, match="is none of the network whose numbers"):
        tvm_vsq.quantize_model(
            deeper,
            "vsq-accel-int8",
            like=quantized,
            quant=quant,
            example_inputs=(*given[0], *given[0][3:]),
        )
    with pytest.raises(ModelError, match="like= must be what quantize_model or fake_quantize returned"):
        tvm_vsq.quantize_model(model, "vsq-accel-int8", like=model, **settings)
    again = tvm_vsq.quantize_model(model, "vsq-accel-int8", like=quantized, **settings)
    first_exe, second_exe = (tvm_vsq.compile(each, "vsq-accel-int8") for each in (quantized, again))
    for ours, theirs in zip(first_exe(*given[0]), second_exe(*given[0]), strict=True):
        assert np.array_equal(ours, theirs)
    for vectors, message in (
        (["caches_9"], "no input is called 'caches_9'; there are tokens, positions, mask"),
        (["mask"], "input 'mask' is read by relax.clip on the CPU"),
        ([7], "there is no result 7; there are 3"),
        ([0], "result 0 is given by relax.multiply, and no layer stores it as vectors"),
    ):
        with pytest.raises(QuantizationError, match=message):
            tvm_vsq.compile(quantized, "vsq-accel-int8", vectors=vectors)


@pytest.mark.parametrize("formats", FORMATS)
@torch.no_grad()
def test_one_block_beside_another_one_is_given_as_vectors(formats):
    """Blocks of values are joined as blocks, also where there is one of each."""
    torch.manual_seed(0)
    own = torch.full((BLOCK, BLOCK), HIDDEN)
    mask = torch.cat([own.triu(0), own.clone().fill_diagonal_(0)], 1)[None, None]

    def sample():
        return torch.randint(0, VOCABULARY, (1, BLOCK)), torch.arange(BLOCK), mask

    data = [sample() for _ in range(3)]
    quantized = tvm_vsq.quantize_model(
        Decoder(apart=True).eval(),
        TARGETS[formats],
        quant=cached(formats),
        example_inputs=data[0],
        calibration=data,
    )
    exe = tvm_vsq.compile(quantized, TARGETS[formats], vectors=(1, 2), strict=True)
    numbers, given = tvm_vsq.compile(quantized, TARGETS[formats]), sample()
    (result, _, values), (expected, _, restored) = exe(*given), numbers(*given)
    assert torch.equal(result, expected)
    assert values.shape == (1, 64, 1, BLOCK + 1)
    elements = values[:, :, 0, :BLOCK] * values[:, :, 0, BLOCK:].float()
    step = restored.abs().max() / elements.abs().max()
    torch.testing.assert_close(elements * step, restored, rtol=1e-5, atol=0)


@pytest.mark.parametrize(("rows", "said"), one_of([(2, "need a batch of one sequence"), (1, None)]))
def test_heads_that_share_keys_in_a_batch_are_refused_for_that(rows, said):
    config = transformers.LlamaConfig(
        vocab_size=50,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=1,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        use_cache=False,
        attn_implementation="eager",
    )
    model, ids = transformers.LlamaModel(config).eval(), torch.randint(0, 50, (rows, 8))
    exe = tvm_vsq.compile(model, example_inputs={"input_ids": ids}, calibration=[{"input_ids": ids}])
    reasons = [row.why for row in exe.explain() if row.op == "relax.matmul" and row.where == "cpu"]
    assert all(said in why for why in reasons) if said else not reasons
    assert bool(reasons) == bool(said)
