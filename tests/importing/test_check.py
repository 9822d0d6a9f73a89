"""An imported graph computes what its model computes, or the import is refused and says where it differs."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from tvm import relax

import tvm_vsq
from tvm_vsq.errors import ModelError
from tvm_vsq.frontend import canonical, torch_decompositions
from tvm_vsq.graph import Rebuilder, op_name, replace_main
from tvm_vsq.importing import import_checked, import_note
from tvm_vsq.importing.run import results_of

IMAGE = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(0))
SUB = torch.ops.aten.sub.Tensor


class Net(nn.Module):
    """A convolution named `conv`, and a function of it and of its result."""

    def __init__(self, function: Callable[[Any, torch.Tensor], Any]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3)
        self.function = function

    def forward(self, x: torch.Tensor) -> Any:
        return self.function(self, self.conv(x))


def half_of_it(_net: Any, y: torch.Tensor) -> torch.Tensor:
    return torch.relu(torch.sub(y, y, alpha=0.5))


@pytest.fixture
def alpha_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(torch_decompositions._OURS, SUB, lambda x, y, alpha=1: x + -1 * y)


def test_what_tvm_misreads_or_refuses_is_rewritten_and_right() -> None:
    written = [
        lambda y: torch.sub(y, y.flip(0), alpha=0.1),
        lambda y: torch.add(y, y.flip(0), alpha=0.1),
        lambda y: torch.rsub(y, y.flip(0), alpha=0.1),
        lambda y: torch.rsub(y, 3.0, alpha=0.1),
        lambda y: F.interpolate(y, size=(7, 3)),
        lambda y: F.interpolate(y, size=(7, 3), mode="nearest-exact"),
        lambda y: F.interpolate(y, scale_factor=1.6, mode="bilinear"),
        lambda y: F.interpolate(y, size=(7, 3), mode="bilinear", align_corners=True),
        lambda y: F.interpolate(y[0], scale_factor=2.0, mode="linear"),
        lambda y: y[[0, 1], [2, -1]],
        lambda y: y[[0, 1], :, [2, -1]],
        lambda y: F.group_norm(y, 2),
        lambda y: F.group_norm(y, 2, torch.arange(4.0), torch.ones(4)),
        lambda y: y.amax((2, 3)),
        lambda y: y.amin(1, keepdim=True),
        lambda y: F.adaptive_max_pool2d(y, (4, 1)),
        F.selu,
        lambda y: torch.var_mean(y, (1, 2)),
    ]
    net = Net(lambda net, y: tuple(leaf for function in written for leaf in _leaves(function(y)))).eval()
    assert import_note(import_checked(net, IMAGE)).startswith("checked beside the torch module Net")


def _leaves(result: Any) -> Any:
    return result if isinstance(result, tuple) else (result,)


@pytest.mark.usefixtures("alpha_is_dropped")
class TestAWrongOperator:
    def test_is_named_with_both_values_and_the_submodule(self) -> None:
        class Outer(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.block = Net(half_of_it)

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return self.block(x)

        words = (
            r"'sub' \(aten.sub.Tensor in 'block'\) .*imported wrongly.* is \S+ in the model and 0 here, at"
        )
        with pytest.raises(ModelError, match=words):
            import_checked(Outer().eval(), IMAGE)

    def test_is_found_in_an_exported_program_without_inputs(self) -> None:
        program = torch.export.export(Net(half_of_it).eval(), (IMAGE,))
        program.example_inputs = None
        with pytest.raises(ModelError, match=r"'sub' .*of the exported program is imported wrongly"):
            import_checked(program)

    def test_is_found_though_the_example_inputs_are_zeros(self) -> None:
        net = Net(lambda net, y: torch.sub(y, y * 2, alpha=0.5)).eval()
        nn.init.zeros_(net.conv.bias)
        with pytest.raises(ModelError, match="'sub'"):
            import_checked(net, torch.zeros_like(IMAGE))

    def test_is_taken_where_the_check_is_left_out_which_explain_says(self) -> None:
        net, config = Net(half_of_it).eval(), tvm_vsq.QuantConfig.parse("4/4/4/4").unfitted()
        options = {"example_inputs": IMAGE, "calibration": IMAGE, "quant": config}
        assert "not checked" in str(tvm_vsq.compile(net, check_import=False, **options).explain())


def test_a_wrong_shape_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = lambda x, y, alpha=1: x[:, :2] - y[:, :2] * alpha  # noqa: E731
    monkeypatch.setitem(torch_decompositions._OURS, SUB, wrong)
    with pytest.raises(ModelError, match=r"'sub'|torch.export|failed"):
        import_checked(Net(lambda net, y: torch.sub(y, y, alpha=0.5)).eval(), IMAGE)


def test_a_pass_of_ours_that_changes_results_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class _Drop(Rebuilder):
        def rewrite(self, var: Any, value: Any) -> Any:
            return value.args[0] if op_name(value) == "relax.nn.relu" else value

    def drops_relu(module: Any) -> Any:
        return replace_main(module, _Drop(module["main"]).run())

    monkeypatch.setattr(canonical, "STEPS", [*canonical.STEPS, drops_relu])
    monkeypatch.setattr("tvm_vsq.importing.locate.STEPS", canonical.STEPS)
    with pytest.raises(
        ModelError, match=r"after the pass 'drops_relu'.*, first in .*'relu'.*fault of the compiler"
    ):
        import_checked(Net(lambda net, y: torch.relu(y)).eval(), IMAGE)


def test_rounding_that_adds_up_is_no_wrong_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(3)  # of some weights and inputs, too little adds up
    net = Net(lambda net, y: (y * 1e6 + 1.0) - y / 1e-6).eval()
    monkeypatch.setitem(torch_decompositions._OURS, torch.ops.aten.mul.Tensor, lambda x, y: x / (1 / y))
    with pytest.warns(tvm_vsq.VsqWarning, match="no operator differs by itself"):
        import_checked(net, IMAGE)


def test_values_that_are_not_finite_are_the_same_where_both_have_them() -> None:
    assert import_note(import_checked(Net(lambda net, y: torch.log(y)).eval(), IMAGE)).startswith("checked")


def test_relax_is_checked_against_itself_before_our_passes() -> None:
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((2, 8), "float32"))
    weight = relax.const(np.eye(8, dtype="float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            y = builder.emit_output(builder.emit(relax.op.matmul(x, weight)))
        builder.emit_func_output(y)
    assert "beside the Relax module on random inputs" in import_note(import_checked(builder.get()))


def test_examples_of_another_shape_than_the_program_are_refused() -> None:
    program = torch.export.export(Net(half_of_it).eval(), (IMAGE,))
    with pytest.raises(
        ModelError, match=r"example_inputs\[0\] has shape \[1, 4, 6, 6\].*exported for \[2, 4, 6, 6\]"
    ):
        import_checked(program, IMAGE[:1])


def test_the_artifact_remembers_the_check(tmp_path: Any) -> None:
    config = tvm_vsq.QuantConfig.parse("4/4/4/4").unfitted()
    exe = tvm_vsq.compile(Net(half_of_it).eval(), example_inputs=IMAGE, calibration=IMAGE, quant=config)
    exe.save(tmp_path / "net.so")
    assert "checked beside the torch module Net on its example inputs" in str(exe.explain())
    assert str(tvm_vsq.load(tmp_path / "net.so").explain()) == str(exe.explain())


def test_a_tensor_given_for_two_inputs_is_two_inputs() -> None:
    class Two(nn.Module):
        def forward(self, p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
            return p - 2 * q

    module = import_checked(Two(), (IMAGE, IMAGE))
    assert len(module["main"].params) == 2
    assert "random inputs" in import_note(module)
    p, q = (np.random.default_rng(seed).random(IMAGE.shape, np.float32) for seed in (0, 1))
    (got,) = results_of(module, [p, q])
    assert np.array_equal(got, p - 2 * q)


def test_a_model_whose_results_change_is_not_called_a_fault_of_the_compiler() -> None:
    calls = iter(range(1, 100))
    with pytest.raises(ModelError, match="change from call to call"):
        import_checked(Net(lambda net, y: y * next(calls)).eval(), IMAGE)


@pytest.mark.parametrize(
    "function",
    [
        lambda net, y: F.embedding(y.long(), torch.ones(20, 4)),
        lambda net, y: torch.gather(y, 1, y.long()),
        lambda net, y: torch.zeros(2, 4, 4, 4).scatter(1, y.long(), y),
    ],
    ids=["embedding", "gather", "scatter"],
)
def test_indices_that_inputs_decide_are_refused(function: Any) -> None:
    class Lookup(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return function(self, x)

    with pytest.raises(ModelError, match=r"indices"):
        import_checked(Lookup(), torch.zeros(2, 4, 4, 4))


def test_crossed_bounds_of_a_clamp_are_no_silent_difference() -> None:
    with pytest.raises(ModelError, match=r"'clamp' .*imported wrongly"):
        import_checked(Net(lambda net, y: y.clamp(1.0, -1.0)).eval(), IMAGE)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda net, y: (y, None), "a result of the model is None"),
        (lambda net, y: y.bfloat16(), "a result of the model is bfloat16"),
        (lambda net, y: y if y.sum() > 0 else -y, "data-dependent"),
    ],
    ids=["none", "bfloat16", "branch"],
)
def test_results_that_have_no_form_are_refused_in_one_message(function: Any, words: str, capfd: Any) -> None:
    with pytest.raises(ModelError, match=words):
        import_checked(Net(function).eval(), IMAGE)
    assert "Traceback" not in capfd.readouterr().err


def test_a_parameter_may_be_a_result() -> None:
    import_checked(Net(lambda net, y: (y, net.conv.bias)).eval(), IMAGE)
