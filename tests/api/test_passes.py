"""Layers of any formats on one array that makes passes over digits: the same bits as `fake_quantize`."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.seeds import one_of
from tests.transformers_models import Encoder, batch
from torch import nn

import tvm_vsq
from tvm_vsq.errors import ConfigError, ProgramError
from tvm_vsq.hardware import HardwareConfig, load_hardware

FORMATS = ("4/4/4/4", "8/8/-/-", "4/8/4/4", "8/4/4/4", "3/6/4/4", "6/6/-/-", "4/4/-/-")
ARRAYS = ((16, 16), (16, 32), (32, 16), (8, 16), (64, 16))


def target(vector_size=16, output_lanes=16, name="vsq-accel", passes=2, **changes):
    found = load_hardware(name)
    fields = found.model_dump()
    fields["timing"]["ppu_pipeline_cycles"] += vector_size // output_lanes
    fields |= {"vector_size": vector_size, "output_lanes": output_lanes, "precision_passes": passes}
    return HardwareConfig.checked({**fields, "accumulator_bits": 40, **changes}, "test")


class Block(nn.Module):
    """Residual, with filters for each channel if the array takes them in passes, and a gate."""

    def __init__(self, channels, is_depthwise):
        super().__init__()
        self.wide = nn.Conv2d(channels, channels, 3, padding=1)
        self.filters = nn.Conv2d(channels, channels, 3, padding=1, groups=channels) if is_depthwise else None
        self.point = nn.Conv2d(channels, channels, 1)
        self.down, self.up = nn.Linear(channels, 8), nn.Linear(8, channels)

    def forward(self, x):
        y = torch.relu(self.wide(x))
        y = y if self.filters is None else torch.relu(self.filters(y))
        gate = torch.sigmoid(self.up(torch.relu(self.down(y.mean((2, 3))))))
        return torch.relu(x + self.point(y * gate[:, :, None, None]))


class Network(nn.Module):
    """Everything that reads vectors: convolutions, sums, pools, products, and vectors that are moved."""

    def __init__(self, size, is_depthwise):
        super().__init__()
        self.size = size
        self.stem = nn.Conv2d(3, size, 3, padding=1)
        self.first, self.second = Block(size, is_depthwise), Block(size, is_depthwise)
        self.head = nn.Linear(2 * size, 10)

    def forward(self, x):
        x = nn.functional.max_pool2d(self.first(torch.relu(self.stem(x))), 2)
        return self.head(torch.cat([self.second(x), x], 1).mean((2, 3)))


@pytest.mark.parametrize("seed", one_of(range(8)))
def test_layers_of_any_formats_are_whole_on_one_chip(seed):
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    hardware = target(*ARRAYS[seed % len(ARRAYS)])
    size = hardware.vector_size
    network = Network(size, is_depthwise=size == hardware.output_lanes).eval()
    names = [name for name, part in network.named_modules() if isinstance(part, nn.Conv2d | nn.Linear)]
    rules = [tvm_vsq.Rule(layers=name, formats=str(rng.choice(FORMATS))) for name in names]
    config = tvm_vsq.QuantConfig.parse("4/4/4/4", vector_size=size, rules=rules).unfitted()
    x = torch.randn(4, 3, 6, 6)
    fake = tvm_vsq.fake_quantize(
        network, quant=config, target=hardware, example_inputs=(x[:2],), calibration=[(x,)]
    )
    exe = tvm_vsq.compile(fake, hardware, strict=True)
    with torch.no_grad():
        expected = fake(x[:2])
    assert torch.equal(exe(x[:2]), expected)
    np.testing.assert_array_equal(exe.reference(x[:2]).numpy(), expected.numpy())


@pytest.mark.large
@pytest.mark.parametrize(
    ("name", "rule"),
    [
        # second operands of 8 bits, in two passes
        pytest.param("vsq-accel-w4a8", None, marks=pytest.mark.large),
        pytest.param("vsq-accel", ("*attention*", "8/8/-/-"), marks=pytest.mark.large),
        ("vsq-accel", ("matmul*", "8/8/4/4")),
        pytest.param("vsq-accel", ("up", "8/4/4/4"), marks=pytest.mark.large),
    ],
)
def test_attention_runs_in_passes(networks, name, rule):
    torch.manual_seed(0)
    model, given = Encoder("sdpa").eval(), batch(2, 17)
    hardware = target(name=name)
    rules = [] if rule is None else [tvm_vsq.Rule(layers=rule[0], formats=rule[1])]
    config = tvm_vsq.QuantConfig.parse(hardware.notation, rules=rules)
    data = [batch(2, 17) for _ in range(4)]
    fake = tvm_vsq.fake_quantize(model, quant=config, target=hardware, example_inputs=given, calibration=data)
    exe = tvm_vsq.compile(fake, hardware, strict=True)
    with torch.no_grad():
        (expected, *_), (fp32, *_) = fake(**given), model(**given)
    (result, *_), (reference, *_) = exe(**given), exe.reference(**given)
    assert torch.equal(result, expected)
    assert torch.equal(reference, expected)
    assert networks.sqnr_db(fp32.numpy(), result.numpy()) > 13
    passes = [layer.shape for layer in exe.timing().layers if "passes" in layer.shape]
    assert passes


def test_probabilities_that_formats_alone_would_let_overflow_fit(networks):
    """Their sum bounds accumulators; where all are small, their coarse scale is raised."""
    torch.manual_seed(0)
    model = Encoder("eager").eval()
    given, *data = ({"input_ids": batch(1, 32)["input_ids"]} for _ in range(5))
    found = {}
    for bits in (40, 28, 27):
        hardware = target(name="vsq-accel-w4a8", accumulator_bits=bits)
        fake = tvm_vsq.fake_quantize(
            model, quant="4/8/6/10", target=hardware, example_inputs=given, calibration=data
        )
        exe = tvm_vsq.compile(fake, hardware, strict=True)
        with torch.no_grad():
            (expected, *_), (fp32, *_) = fake(**given), model(**given)
        (found[bits], *_) = exe(**given)
        assert torch.equal(found[bits], expected)
        assert networks.sqnr_db(fp32.numpy(), expected.numpy()) > 22
    assert torch.equal(found[28], found[40])
    assert not torch.equal(found[27], found[40])


class Sums(nn.Module):
    """A sum and a product that belong to no layer with weights."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = (nn.Linear(32, 32) for _ in range(3))

    def forward(self, x):
        a, b = torch.relu(self.a(x)), torch.relu(self.b(x))
        total = a + b
        return self.c(total) + total * a


@pytest.mark.parametrize("formats", ["8/8/-/-", "4/8/6/10"])
def test_layers_without_products_of_scales_do_not_mind_how_these_are_rounded(formats):
    """`vsq-accel-w4a8` rounds them to 8 bits, of which 8/8/-/- has none."""
    torch.manual_seed(0)
    x, hardware = torch.randn(32, 32), target(name="vsq-accel-w4a8")
    assert hardware.product_shift
    fake = tvm_vsq.fake_quantize(
        Sums().eval(), quant=formats, target=hardware, example_inputs=(x,), calibration=[(x,)]
    )
    exe = tvm_vsq.compile(fake, hardware, strict=True)
    with torch.no_grad():
        assert torch.equal(exe(x), fake(x))
    np.testing.assert_array_equal(exe.reference(x).numpy(), exe(x).numpy())


def linear(formats, hardware, channels=32):
    network = nn.Sequential(nn.Linear(channels, 32), nn.ReLU(), nn.Linear(32, 16)).eval()
    config = tvm_vsq.QuantConfig.parse("4/4/4/4", rules=[tvm_vsq.Rule(layers="0", formats=formats)])
    x = torch.randn(32, channels)
    return tvm_vsq.compile(
        network, hardware, quant=config, example_inputs=(x,), calibration=[(x,)], strict=True
    )


def test_activations_as_wide_as_second_operands_are_activations():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(32, 32), nn.Linear(32, 32), nn.Linear(32, 32)).eval()
    rules = [tvm_vsq.Rule(layers=name, formats="4/4/6/6") for name in "12"]  # of w4a8: 4 bits, scales of 6
    config, x = tvm_vsq.QuantConfig.parse("4/8/6/10", rules=rules), torch.randn(32, 32)
    hardware = target(name="vsq-accel-w4a8", scale_product_bits=None)
    fake = tvm_vsq.fake_quantize(
        network, quant=config, target=hardware, example_inputs=(x,), calibration=[(x,)]
    )
    exe = tvm_vsq.compile(fake, hardware, strict=True)
    with torch.no_grad():
        assert torch.equal(exe(x), fake(x))


def test_a_pass_is_counted():
    cycles, macs = {}, {}
    for formats in ("4/4/4/4", "4/8/4/4", "8/8/-/-"):
        first = linear(formats, target(), 512).timing().layers[0]
        cycles[formats], macs[formats] = first.cycles, first.macs
    assert macs["4/8/4/4"] == 2 * macs["4/4/4/4"]
    assert macs["8/8/-/-"] == 4 * macs["4/4/4/4"]
    assert cycles["4/4/4/4"] < cycles["4/8/4/4"] < cycles["8/8/-/-"]


def test_formats_that_do_not_fit_are_refused_by_name():
    with pytest.raises(ConfigError, match=r"layer '0'.*weight_bits=8.*unless it has precision_passes"):
        linear("8/8/-/-", target(passes=1))
    with pytest.raises(ConfigError, match=r"layer '0'.*weight_scale_bits=6.*it takes scales of no more bits"):
        linear("4/8/6/4", target())
    narrow = target().model_copy(update={"weight_bits": 2})
    with pytest.raises(ConfigError, match=r"layer '0'.*weight_bits=8.*it takes elements of up to 2 times"):
        linear("8/8/-/-", narrow)


def test_filters_that_do_not_lie_side_by_side_are_refused():
    network = Network(32, is_depthwise=True).eval()
    rule = tvm_vsq.Rule(layers="first.filters", formats="8/4/4/4")
    config = tvm_vsq.QuantConfig.parse("4/4/4/4", vector_size=32, rules=[rule]).unfitted()
    x = torch.randn(2, 3, 6, 6)
    with pytest.raises(ProgramError, match=r"layer 'first.filters': depthwise .*weight elements of 4 bits"):
        tvm_vsq.compile(
            network, target(32, 16), quant=config, example_inputs=(x,), calibration=[(x,)], strict=True
        )


def test_a_mix_is_chosen_for_the_chip_that_runs_it():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 16))
    x = torch.randn(64, 64)
    data, hardware = [(x,)], target()
    with pytest.warns(tvm_vsq.VsqWarning, match=r"'4/8/6/10'.*weight_scale_bits=6"):
        mix = tvm_vsq.choose_formats(
            network.eval(),
            formats=("4/4/4/4", "8/8/-/-", "4/8/6/10"),
            target=hardware,
            example_inputs=(x,),
            calibration=data,
            data=data,
            max_energy_ratio=0.8,
        )
    assert set(mix.formats.values()) == {"4/4/4/4", "8/8/-/-"}
    exe = tvm_vsq.compile(
        network, hardware, quant=mix.config, example_inputs=(x,), calibration=data, strict=True
    )
    energy = sum(layer.energy_pj for layer in exe.timing().layers)
    most = sum(row["8/8/-/-"] for row in mix.energy_pj.values())
    assert energy == pytest.approx(mix.energy_ratio * most, rel=0.1)


class Readers(nn.Module):
    """Three layers that read one tensor, of which one counts for little, and one that reads another."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c, self.d = (nn.Linear(32, 32) for _ in range(4))

    def forward(self, x):
        return torch.cat([self.a(x), self.b(x) * 0.01, self.d(torch.relu(self.c(x)))], -1)


RATIOS = (0.97, 0.95, 0.9)


def test_a_mix_is_one_that_the_chip_runs_where_it_rounds_products_of_scales():
    """Else a reader without scales would get those of the others, but not of its weights."""
    torch.manual_seed(0)
    network, x, hardware = Readers().eval(), torch.randn(64, 32), target(name="vsq-accel-w4a8")
    given = {"example_inputs": (x,), "calibration": [(x,)]}
    profile = tvm_vsq.profile_formats(network, formats=("4/8/6/10", "8/8/-/-"), target=hardware, **given)
    found = set()
    for aim in [{"max_energy_ratio": ratio} for ratio in RATIOS] + [{"target_sqnr_db": 40}]:
        mix = profile.choose(**aim)
        found.add(tuple(mix.formats[name] for name in "abcd"))
        fake = tvm_vsq.fake_quantize(network, quant=mix.config, target=hardware, **given)
        exe = tvm_vsq.compile(network, hardware, quant=mix.config, strict=True, **given)
        with torch.no_grad():
            expected, fp32 = fake(x), network(x)
        assert torch.equal(exe(x), expected)
        assert torch.equal(exe.reference(x), expected)
        noise = float((expected - fp32).square().sum() / fp32.square().sum())
        # measured without the rounding of products of scales
        assert mix.sqnr_db == pytest.approx(-10 * np.log10(noise), abs=0.1)
        energy = sum(layer.energy_pj for layer in exe.timing().layers)
        most = sum(row["8/8/-/-"] for row in mix.energy_pj.values())
        assert energy == pytest.approx(mix.energy_ratio * most, rel=0.01)
    assert all(len(set(formats[:3])) == 1 for formats in found)
    assert any(len(set(formats)) == 2 for formats in found)


@pytest.mark.parametrize("formats", ["8/8/-/-", "4/8/6/10"])
def test_formats_that_rules_give_decide_for_those_that_read_the_same(formats):
    torch.manual_seed(0)
    network, x, hardware = Readers().eval(), torch.randn(64, 32), target(name="vsq-accel-w4a8")
    given = {"example_inputs": (x,), "calibration": [(x,)]}
    rules = [tvm_vsq.Rule(layers="b", formats=formats)]
    config = tvm_vsq.QuantConfig.parse("4/8/6/10", rules=rules).unfitted()
    profile = tvm_vsq.profile_formats(
        network, formats=("4/8/6/10", "8/8/-/-"), target=hardware, quant=config, **given
    )
    for ratio in (1, 0.97):
        mix = profile.choose(max_energy_ratio=ratio)
        assert {mix.formats[name] for name in "ac"} == {formats}
        tvm_vsq.compile(network, hardware, quant=mix.config, **given)


def test_a_choice_that_rules_leave_none_of_names_the_layers():
    torch.manual_seed(0)
    network, x, hardware = Readers().eval(), torch.randn(64, 32), target(name="vsq-accel-w4a8")
    given = {"example_inputs": (x,), "calibration": [(x,)]}
    aim = {"target": hardware, "max_energy_ratio": 1, **given}
    for rule, formats, names in (
        ({"b": "4/8/6/10"}, ("8/8/-/-", "6/6/-/-"), "'a' .* and 'b'"),
        ({"a": "4/8/6/10", "c": "8/8/-/-"}, ("4/8/6/10", "8/8/-/-"), "'[bc]' .* and 'a'"),
    ):
        rules = [tvm_vsq.Rule(layers=layer, formats=each) for layer, each in rule.items()]
        config = tvm_vsq.QuantConfig.parse("4/8/6/10", rules=rules).unfitted()
        with pytest.raises(ConfigError, match=f"layers {names} .*both formats without"):
            tvm_vsq.choose_formats(network, formats=formats, quant=config, **aim)


def test_only_one_format_left_is_no_choice():
    network, x = nn.Sequential(nn.Linear(32, 16)).eval(), torch.randn(8, 32)
    with pytest.raises(ConfigError, match=r"'4/8/6/10' has .*fewer than two"):
        tvm_vsq.choose_formats(
            network,
            formats=("4/4/4/4", "4/8/6/10"),
            target=target(),
            example_inputs=(x,),
            calibration=[(x,)],
            data=[(x,)],
            max_energy_ratio=0.8,
        )


@pytest.mark.parametrize("rule", one_of(["matmul*", "*"]))
def test_second_operands_are_as_wide_as_the_array_takes_in_its_passes(networks, rule):
    """Weights of 4 bits in two passes of 3 would have second operands of 8 bits, and the array takes 6."""
    torch.manual_seed(0)
    hardware, data = target(weight_bits=3), [batch(2, 9) for _ in range(4)]
    config = tvm_vsq.QuantConfig.parse("3/4/4/4", rules=[tvm_vsq.Rule(layers=rule, formats="4/8/4/4")])
    model = Encoder("sdpa").eval()
    network = tvm_vsq.fake_quantize(
        model, quant=config.unfitted(), target=hardware, example_inputs=data[0], calibration=data
    )
    exe, given = tvm_vsq.compile(network, hardware, strict=True), batch(2, 9)
    with torch.no_grad():
        result, expected = network(**given)[0], model(**given)[0]
    assert torch.equal(exe(**given)[0], result)
    assert networks.sqnr_db(expected.numpy(), result.numpy()) > 8
