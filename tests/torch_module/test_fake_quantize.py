"""The torch module of a quantized network: its integers, its gradients, its parameters."""

from __future__ import annotations

import copy
import io
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.seeds import first_of, one_of
from torch import nn

from tvm_vsq.errors import CalibrationError, ConfigError, InputError, ModelError, QuantizationError
from tvm_vsq.formats import VectorFormat
from tvm_vsq.layers.reader import read_nodes
from tvm_vsq.numerics import dequantize
from tvm_vsq.numerics import quantize_weights as numpy_weights
from tvm_vsq.quantize import QuantConfig, Rule
from tvm_vsq.quantize.reorder import channel_orders
from tvm_vsq.torch_graph.straight_through import weight_vectors
from tvm_vsq.torch_module import fake_quantize
from tvm_vsq.transform import fuse, legalize_reference

FORMAT = VectorFormat(4, 4, 16)
NAMES = ["ResNet", "ClippedNet", "DepthwiseNet", "Mlp", "PlainNet"]


def made(networks, name: str, quant="4/4/4/4", samples=None):
    model, x = networks.build(getattr(networks, name))
    samples = networks.samples(getattr(networks, name)) if samples is None else samples
    config = QuantConfig.parse(quant).unfitted() if isinstance(quant, str) else quant
    return fake_quantize(model, quant=config, example_inputs=(x,), calibration=samples), x


def tensors(results) -> list[torch.Tensor]:
    return [r.detach() for r in (results if isinstance(results, tuple) else (results,))]


def compiled(networks, module, x) -> list[np.ndarray]:
    """What the same integer layers give as TIR on the CPU."""
    return networks.run_tvm(legalize_reference(fuse(module.to_relax(), module.hardware)), x.numpy())


def linear(quant="4/4/4/4", *, relu_input: bool = False) -> tuple[nn.Module, nn.Linear]:
    """A quantized linear layer on [2, 20] whose inputs were calibrated to reach 2; and the float layer."""
    torch.manual_seed(1)
    layer = nn.Linear(20, 5)
    model = nn.Sequential(nn.ReLU(), layer) if relu_input else layer
    data = np.linspace(-2, 2, 80, dtype=np.float32).reshape(4, 20)
    config = QuantConfig.parse(quant).unfitted()
    return fake_quantize(model, quant=config, example_inputs=(torch.zeros(2, 20),), calibration=data), layer


def integers(module) -> dict[str, np.ndarray]:
    """The weights' vectors that the module compiles to, by layer."""
    return {node.name: node.weights.vectors for node in read_nodes(module.to_relax())}


MIXED = QuantConfig.parse(
    "4/4/4/4",
    rules=(
        Rule(layers=":first", formats="8/8/-/-"),
        Rule(layers=":last", fp32=True),
        Rule(layers="layer1.*", settings={"activation_scales": "static", "weight_calibration": "mse"}),
        Rule(layers="layer2.conv1", formats="3/6/4/6", settings={"vector_size": 8}),
    ),
)


@pytest.mark.parametrize("is_fitted", one_of([True, False]))
@pytest.mark.parametrize(
    ("name", "quant"),
    first_of(
        [
            ("ClippedNet", "4/4/4/4"),
            ("PlainNet", "3/6/10/8"),
            ("PlainNet", "8/8/-/-"),
            ("PlainNet", "4/4/4/4"),
        ],
        1,
    ),
)
def test_results_are_those_of_the_integer_layers(networks, name, quant, is_fitted):
    module, x = made(networks, name, QuantConfig.parse(quant) if is_fitted else quant)
    for a, b in zip(tensors(module.eval()(x)), compiled(networks, module, x), strict=True):
        np.testing.assert_array_equal(a.numpy(), b)


@pytest.mark.large
def test_layers_of_several_formats_are_evaluated(networks):
    module, x = made(networks, "ResNet", MIXED)
    np.testing.assert_allclose(
        module.eval()(x).numpy(), compiled(networks, module, x)[0], rtol=1e-5, atol=1e-6
    )
    layers = "conv1 layer1.conv1 layer1.conv2 layer2.conv1 layer2.conv2 layer2.downsample.0"
    trained = {name.rsplit(".", 1)[0] for name, _ in module.layers.named_parameters()}
    assert trained == set(layers.split())


@pytest.mark.parametrize("name", first_of(NAMES, 2))
def test_training_computes_nearly_what_evaluation_does(networks, name):
    module, x = made(networks, name)
    for a, b in zip(tensors(module.train()(x)), tensors(module.eval()(x)), strict=True):
        assert networks.sqnr_db(b.numpy(), a.numpy()) > 30


@pytest.mark.parametrize("name", first_of(NAMES, 2))
def test_every_parameter_gets_a_gradient_and_training_lowers_the_loss(networks, name):
    module, x = made(networks, name)
    goals = [torch.zeros_like(result) for result in tensors(module.train()(x))]
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-3)
    losses = []
    for _ in range(8):
        results = module(x)
        results = results if isinstance(results, tuple) else (results,)
        loss = sum((r - goal).square().mean() for r, goal in zip(results, goals, strict=True))
        optimizer.zero_grad()
        loss.backward()
        losses.append(float(loss.detach()))
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in module.parameters())
        optimizer.step()
    assert losses[-1] < losses[0]


def test_the_gradient_of_an_input_ends_where_the_coarse_limit_is():
    module, layer = linear()
    x = torch.linspace(-3, 3, 40).reshape(2, 20).requires_grad_()  # calibrated to 2
    upstream = torch.randn(2, 5)
    module.train()(x).backward(upstream)
    # y = x^ W^T + b, dx^/dx = 1 inside the limits and 0 outside
    weights = torch.from_numpy(dequantize(*numpy_weights(layer.weight.detach().numpy(), FORMAT), 20))
    inside = (x.detach().abs() <= 2).float()
    torch.testing.assert_close(x.grad, (upstream @ weights) * inside)
    assert 0 < inside.mean() < 1


def test_the_gradient_of_a_weight_is_what_the_quantized_input_makes_it():
    module, _ = linear("2/2/-/-")
    # 2-bit elements without vector scales are -2, 0 or 2 here
    x = torch.tensor([[-2.0, -1.2, -0.8, 0.0, 0.8, 1.2, 2.0, 5.0, 0.4, 1.9] * 2] * 2)
    quantized = torch.tensor([[-2.0, -2.0, 0.0, 0.0, 0.0, 2.0, 2.0, 2.0, 0.0, 2.0] * 2] * 2)
    upstream = torch.randn(2, 5)
    module.train()(x).backward(upstream)
    weight, bias = module.layers.parameters()
    torch.testing.assert_close(weight.grad, upstream.T @ quantized)
    torch.testing.assert_close(bias.grad, upstream.sum(0))


def test_an_unsigned_tensor_passes_no_gradient_to_what_was_negative():
    module, _ = linear(relu_input=True)
    x = torch.linspace(-2, 2, 40).reshape(2, 20).requires_grad_()
    module.train()(x).sum().backward()
    assert (x.grad[x < 0] == 0).all()
    assert (x.grad[x > 0.1] != 0).all()


@settings(deadline=None, max_examples=40)
@given(
    st.integers(2, 8), st.integers(0, 10), st.sampled_from([8, 16, 64]), st.integers(0, 2**31), st.booleans()
)
def test_weights_are_quantized_as_in_numpy(bits, scale_bits, size, seed, is_conv):
    rng = np.random.default_rng(seed)
    w = rng.standard_normal((6, *((3, 2) if is_conv else ()), int(rng.integers(1, 100)))).astype(np.float32)
    w[0] = 0
    w[1] *= np.float32(1e-30)
    fmt = VectorFormat(bits, scale_bits, size)
    found = weight_vectors(torch.from_numpy(w), fmt)
    for a, b in zip(found, numpy_weights(w, fmt), strict=True):
        np.testing.assert_array_equal(a.numpy(), b)


def test_evaluation_follows_the_parameters(networks):
    module, x = made(networks, "PlainNet")
    first = module.eval()(x)
    saved = {key: value.clone() for key, value in module.state_dict().items()}
    with torch.no_grad():
        module.layers.get_parameter("b.weight").mul_(-0.5)
        module.layers.get_parameter("c.bias").add_(1.0)
    changed = module(x)
    assert (changed != first).any()
    np.testing.assert_array_equal(changed.numpy(), compiled(networks, module, x)[0])
    module.load_state_dict(saved)
    torch.testing.assert_close(module(x), first, rtol=0, atol=0)


def test_evaluation_follows_the_same_parameter_changed_again_and_again(networks):
    module, x = made(networks, "PlainNet")
    weight, seen = module.layers.get_parameter("b.weight"), []
    for factor in (-0.5, 3.0, 0.25):
        with torch.no_grad():
            weight.mul_(factor)
        seen.append(module.eval()(x))
        np.testing.assert_array_equal(seen[-1].numpy(), compiled(networks, module, x)[0])
    assert (seen[0] != seen[1]).any()
    assert (seen[1] != seen[2]).any()


def test_a_result_has_nine_bits_of_headroom_beyond_calibration():
    """Inputs in their calibrated range, whose sum is 2^8.6 and more times what it was on calibration data."""
    layer = nn.Linear(600, 1, bias=False)
    nn.init.ones_(layer.weight)
    config = QuantConfig.parse("8/8/-/-", channel_order="model").unfitted()
    data = torch.eye(600)
    module = fake_quantize(layer, quant=config, example_inputs=(data[:1],), calibration=data).eval()
    below, beyond = torch.zeros(1, 600), torch.ones(1, 600)
    below[:, :400] = 1
    torch.testing.assert_close(module(below), torch.tensor([[400.0]]), rtol=1e-3, atol=0)
    torch.testing.assert_close(module(beyond), torch.tensor([[512.0]]), rtol=1e-3, atol=0)  # saturates


def test_a_layer_keeps_its_integers_until_its_own_values_change(networks):
    module, _ = made(networks, "PlainNet", QuantConfig.parse("4/4/4/4"))
    first = integers(module)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.0)
    module.train()(torch.from_numpy(networks.samples(networks.PlainNet))).sum().backward()
    optimizer.step()
    module.load_state_dict({key: value.clone() for key, value in module.state_dict().items()})
    assert all(np.array_equal(a, b) for a, b in zip(integers(module).values(), first.values(), strict=True))
    weight = module.layers.get_parameter("b.weight")
    with torch.no_grad():
        weight.mul_(1.01)
        module.layers.get_parameter("c.bias").add_(1.0)
    by_maximum = numpy_weights(weight.detach().numpy(), FORMAT)[0]
    assert not np.array_equal(first["b"], by_maximum)  # GPTQ chose others
    for name, vectors in integers(module).items():
        np.testing.assert_array_equal(vectors, by_maximum if name == "b" else first[name])


@pytest.mark.parametrize("name", one_of(["Mlp", "DepthwiseNet"]))
def test_a_state_dict_restores_the_module_whatever_the_calibration_data_were(networks, name):
    config = QuantConfig.parse("4/4/4/4")
    samples = networks.samples(getattr(networks, name), 64)
    module, x = made(networks, name, config, samples)
    skewed = samples * np.linspace(0.1, 3, samples[0].size, dtype=np.float32).reshape(samples[0].shape)
    other, _ = made(networks, name, config, skewed)
    assert channel_orders(module.to_relax()) != channel_orders(other.to_relax())
    trained, chosen = next(iter(module.parameters())), integers(module)
    first_weight = trained.detach().clone()
    with torch.no_grad():
        trained.mul_(1.5)
    expected = tensors(module.eval()(x))
    assert any((a != b).any() for a, b in zip(tensors(other.eval()(x)), expected, strict=True))
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    other.load_state_dict(torch.load(io.BytesIO(file.getvalue()), weights_only=True))
    assert channel_orders(module.to_relax()) == channel_orders(other.to_relax())
    for found, result in zip(tensors(other(x)), expected, strict=True):
        torch.testing.assert_close(found, result, rtol=0, atol=0)
    for found, result in zip(tensors(other.train()(x)), tensors(module.train()(x)), strict=True):
        torch.testing.assert_close(found, result, rtol=0, atol=0)
    with torch.no_grad():  # initial values came with it
        next(iter(other.parameters())).copy_(first_weight)
    assert all(np.array_equal(vectors, chosen[layer]) for layer, vectors in integers(other).items())


@pytest.mark.parametrize("name", one_of(["Mlp", "ResNet", "ClippedNet"]))
def test_a_state_is_loaded_into_a_module_of_another_batch_size(networks, name):
    """Trained in batches, measured by the sample."""
    network = getattr(networks, name)
    config = QuantConfig.parse("4/4/4/4").unfitted()
    config = config.model_copy(update={"channel_order": "magnitude"})
    module, x = made(networks, name, config)
    with torch.no_grad():
        next(module.parameters()).mul_(1.5)
    model, _ = networks.build(network)
    samples = networks.samples(network, 4)
    one = fake_quantize(model, quant=config, example_inputs=(x[:1],), calibration=samples)
    one.load_state_dict(module.state_dict())
    for found, expected in zip(tensors(one(x)), tensors(module(x)), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=0)
    assert int(one.to_relax()["main"].params[0].ty.shape[0]) == 1
    assert channel_orders(one.to_relax()) == channel_orders(module.to_relax())


def test_a_constant_for_each_sample_ties_a_state_to_their_number():
    class Shifted(nn.Module):
        def __init__(self, samples):
            super().__init__()
            self.linear, self.shift = nn.Linear(4, 4), torch.arange(samples).float()[:, None] + 0.5

        def forward(self, x):
            return self.linear(torch.tanh(x) * self.shift)

    two, one = (
        fake_quantize(
            Shifted(n),
            quant=QuantConfig.parse("4/4/4/4").unfitted(),
            example_inputs=(torch.randn(n, 4),),
            calibration=torch.randn(8, 4),
        )
        for n in (2, 1)
    )
    with pytest.raises(ModelError, match=r"reads a constant of \[1, 1\], but of \[2, 1\] in the state"):
        one.load_state_dict(two.state_dict())


def test_a_state_of_something_else_is_refused(networks):
    module, _ = made(networks, "PlainNet")
    before = integers(module)
    for name, quant, message in (
        ("ClippedNet", "4/4/4/4", r"another network.*has \[input "),
        ("PlainNet", "4/8/4/4", r"bits=8 .* where this module has \[vsq.quantize bits=4"),
    ):
        other, _ = made(networks, name, quant)
        with pytest.raises(ModelError, match=message):
            module.load_state_dict(other.state_dict())
    twin = copy.deepcopy(module)
    twin._hardware = module.hardware.model_copy(update={"multiplier_bits": 12})
    with pytest.raises(ConfigError, match=r"multiplier_bits=12, but this module's, 'vsq-accel', has .*=16"):
        module.load_state_dict(twin.state_dict())
    with pytest.raises(ModelError, match="must be the uint8 tensor"):
        module.set_extra_state(None)
    with pytest.raises(ModelError, match="the extra state is damaged"):
        module.set_extra_state(torch.zeros(40, dtype=torch.uint8))
    with pytest.raises(RuntimeError, match="_extra_state"):
        module.load_state_dict(dict(module.named_parameters()))
    assert all(np.array_equal(vectors, before[layer]) for layer, vectors in integers(module).items())


def test_layers_that_shared_parameters_are_trained_apart():
    shared = nn.Linear(16, 16)
    x = torch.randn(4, 16)
    model = nn.Sequential(shared, nn.ReLU(), shared)
    config = QuantConfig.parse("4/4/4/4").unfitted()
    module = fake_quantize(model, quant=config, example_inputs=(x,), calibration=x.numpy())
    assert len(list(module.parameters())) == 4
    module.train()(x).square().sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in module.parameters())
    first = module.eval()(x)
    with torch.no_grad():
        list(module.parameters())[-1].add_(1.0)
    torch.testing.assert_close(module(x), first + 1.0, rtol=0, atol=1e-3)  # of the last layer only


@pytest.mark.parametrize("copied", one_of([copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))]))
def test_a_copy_is_trained_apart(networks, copied):
    module, x = made(networks, "PlainNet", QuantConfig.parse("4/4/4/4"))
    module.train()(x)  # so that there is more than parameters to copy
    first = module.eval()(x)
    twin = copied(module)
    torch.testing.assert_close(twin(x), first, rtol=0, atol=0)
    twin.train()(x).sum().backward()
    with torch.no_grad():
        twin.layers.get_parameter("c.bias").add_(1.0)
    assert (twin.eval()(x) != first).any()
    torch.testing.assert_close(module(x), first, rtol=0, atol=0)
    assert all(p.grad is None for p in module.parameters())


def test_any_number_of_samples_is_computed_in_batches_of_the_imported_size(networks):
    module, _ = made(networks, "ClippedNet")
    x = networks.samples(networks.ClippedNet, 5)
    results = module.eval()(x)
    assert all(isinstance(result, np.ndarray) and len(result) == 5 for result in results)
    for whole, one in zip(results, module(torch.from_numpy(x[4:])), strict=True):
        np.testing.assert_array_equal(whole[4:], one.numpy())
    module.train()(torch.from_numpy(x))[0].sum().backward()
    assert module.layers.get_parameter("stem.weight").grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ((), "takes 1 inputs, got 0"),
        ((np.zeros((2, 19), np.float32),), r"must be float32 \[n, 20\], got float32 \[2, 19\]"),
        ((np.zeros((2, 20)),), r"must be float32 \[n, 20\], got float64"),
        ((np.zeros((0, 20), np.float32),), r"got float32 \[0, 20\]"),
        ((np.zeros((2, 20), ">f4"),), r"'input' must be float32, got >f4"),
        (([[0.0] * 20] * 2,), "'input' must be a torch.Tensor or numpy.ndarray, not list"),
        ((torch.zeros(2, 20, device="meta"),), "'input' must be a dense tensor with data"),
        ((torch.zeros(2, 20).to_sparse(),), "'input' must be a dense tensor with data"),
    ],
)
def test_inputs_that_do_not_fit_are_named(inputs, message):
    module, _ = linear()
    with pytest.raises(InputError, match=message):
        module.eval()(*inputs)


@pytest.mark.parametrize("value", one_of([np.nan, np.inf, -np.inf]))
@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("quant", ["4/4/4/4", "8/8/-/-", "4/4/fp/fp"])
def test_an_input_that_no_integer_stands_for_is_refused_as_by_an_executable(value, mode, quant):
    module, _ = linear(quant)
    x = np.zeros((5, 20), np.float32)  # more than a batch
    x[4, 3] = value
    for kind in (x, torch.from_numpy(x)):
        with pytest.raises(InputError, match="input 'input' contains NaN or infinity; integers cannot"):
            getattr(module, mode)()(kind)


def test_negative_strides_are_read():
    module, _ = linear()
    x = np.random.default_rng(0).standard_normal((2, 20)).astype(np.float32)
    np.testing.assert_array_equal(module(x[::-1]), module(x[::-1].copy()))


@pytest.mark.parametrize("kind", ["weight", "bias"])
def test_parameters_that_diverged_are_not_made_integers(kind):
    module, _ = linear()
    with torch.no_grad():
        next(p for name, p in module.named_parameters() if name.endswith(kind)).view(-1)[0] = float("nan")
    for use in (lambda: module(np.zeros((2, 20), np.float32)), module.to_relax):
        with pytest.raises(ModelError, match=rf"parameter 'layers\..*\.{kind}' holds NaN or infinite values"):
            use()


def test_what_cannot_be_quantized_is_refused():
    layer, x = nn.Sequential(nn.Linear(20, 5)), torch.zeros(2, 20)
    with pytest.raises(CalibrationError, match="calibration data are missing"):
        fake_quantize(layer, example_inputs=(x,))
    with pytest.raises(ConfigError, match="quant 4 is not understood"):
        fake_quantize(layer, quant=4, example_inputs=(x,))
    with pytest.raises(ConfigError, match=r"layer '0'.*'4/4/fp/4' has fp32 vector scales on one side"):
        fake_quantize(layer, quant="4/4/fp/4", example_inputs=(x,))


def test_fp32_scales_round_each_vector_against_its_own_largest_value():
    torch.manual_seed(0)
    layer, x = nn.Linear(24, 5), torch.randn(3, 24)

    def rounded(values: torch.Tensor) -> torch.Tensor:
        halves = []
        for part in (values[:, :16], values[:, 16:]):  # vectors of 16 channels, the last one not full
            scale = part.abs().max(dim=1, keepdim=True).values / 7
            halves.append((part / scale).round() * scale)
        return torch.cat(halves, dim=1)

    module = fake_quantize(layer, quant="4/4/fp/fp", example_inputs=(x[:1],))
    weight, bias = layer.weight.detach(), layer.bias.detach()
    torch.testing.assert_close(module(x), rounded(x) @ rounded(weight).T + bias)
    assert not list(module.parameters())


@pytest.mark.large
def test_fp32_scales_lose_less_than_integer_scales(networks):
    model, x = networks.build(networks.PlainNet)
    samples = networks.samples(networks.PlainNet, 40)
    expected = networks.run_torch(model, torch.from_numpy(samples))[0]
    sqnr = []
    for quant in ("4/4/-/-", "4/4/2/2", "4/4/fp/fp"):
        module = fake_quantize(model, quant=quant, example_inputs=(x,), calibration=samples)
        sqnr.append(networks.sqnr_db(expected, module.eval()(samples)))
    assert sqnr[0] < sqnr[1] < sqnr[2]


def test_fp32_scales_follow_the_order_of_channels():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 4)).requires_grad_(False)
    samples = torch.randn(64, 8)
    order = model[1](model[0](samples)).square().sum(0).argsort(descending=True)
    sorted_model = copy.deepcopy(model)  # the same function
    sorted_model[0].weight[:], sorted_model[0].bias[:] = model[0].weight[order], model[0].bias[order]
    sorted_model[2].weight[:] = model[2].weight[:, order]

    def result(network: nn.Module, order: str, calibration: torch.Tensor | None) -> torch.Tensor:
        config = QuantConfig.parse("3/3/fp/fp", channel_order=order)
        return fake_quantize(network, quant=config, example_inputs=(samples,), calibration=calibration)(
            samples
        )

    as_in_model = result(model, "model", samples)
    sorted_by_data = result(model, "magnitude", samples)
    assert (sorted_by_data - as_in_model).abs().max() > 0.01
    torch.testing.assert_close(sorted_by_data, result(sorted_model, "model", None))
    torch.testing.assert_close(result(model, "magnitude", None), as_in_model, rtol=0, atol=0)


def test_fp32_scales_honour_strict():
    config = QuantConfig.parse("4/4/fp/fp", strict=True)
    with pytest.raises(QuantizationError, match=r"layer '0': 20 input channels are no multiple .*=16"):
        fake_quantize(nn.Sequential(nn.Linear(20, 5)), quant=config, example_inputs=(torch.zeros(2, 20),))
