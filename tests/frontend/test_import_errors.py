"""Models that cannot be imported are refused with what is wrong and what to do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from tvm import relax
from tvm.ir import IRModule
from tvm.script import ir as I
from tvm.script import relax as R

from tvm_vsq.errors import ModelError
from tvm_vsq.frontend import import_model
from tvm_vsq.graph import constant


def relax_module(shape, dtype="float32", weight=None, added=None) -> IRModule:
    x = relax.Var("x", relax.TensorType(shape, dtype))
    builder = relax.BlockBuilder()
    with builder.function("main", [x]):
        with builder.dataflow():
            value = relax.op.nn.relu(x) if weight is None else relax.op.matmul(x, constant(weight))
            value = value if added is None else relax.op.add(builder.emit(value), constant(added))
            result = builder.emit_output(value)
        builder.emit_func_output(result)
    return builder.get()


def test_an_unknown_kind_of_model():
    with pytest.raises(ModelError, match=r"cannot import a builtins\.dict; give a torch\.nn\.Module"):
        import_model({})


def test_a_module_without_example_inputs():
    with pytest.raises(ModelError, match="pass example_inputs"):
        import_model(nn.ReLU())


def test_example_inputs_that_are_no_tensors():
    with pytest.raises(ModelError, match=r"example_inputs\[1\] must be a tensor, not str"):
        import_model(nn.ReLU(), (torch.zeros(1), "x"))


def test_example_inputs_of_another_dtype():
    with pytest.raises(ModelError, match=r"example_inputs\[0\] is float64; inputs must be float32"):
        import_model(nn.ReLU(), (torch.zeros(1, dtype=torch.float64),))


def test_example_inputs_the_model_cannot_take():
    with pytest.raises(ModelError, match="cannot export Linear"):
        import_model(nn.Linear(3, 2), (torch.zeros(1, 4),))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_name_the_parameter(value):
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].bias.data[0] = value
    with pytest.raises(ModelError, match=r"'1\.bias' holds NaN or infinite values"):
        import_model(model, (torch.zeros(1, 2),))


def test_weights_of_another_dtype_name_the_parameter():
    with pytest.raises(ModelError, match=r"parameter 'weight' is float64; .*model\.float\(\)"):
        import_model(nn.Linear(2, 2).double(), (torch.zeros(1, 2),))


def test_dynamic_shapes():
    shapes = ({0: torch.export.Dim("batch", min=2, max=8)},)
    program = torch.export.export(nn.Linear(3, 2), (torch.zeros(4, 3),), dynamic_shapes=shapes)
    with pytest.raises(ModelError, match="input 'input' has a dynamic shape"):
        import_model(program)


def test_a_program_exported_in_training_mode():
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2)).train()
    program = torch.export.export(model, (torch.zeros(2, 1, 3, 3),))
    with pytest.raises(ModelError, match=r"call model\.eval\(\) before torch\.export"):
        import_model(program)


def test_a_model_that_returns_a_dict():
    class Named(nn.Module):
        def forward(self, x):
            return {"y": torch.relu(x)}

    with pytest.raises(ModelError, match="must return a tensor or a tuple of tensors"):
        import_model(Named(), (torch.zeros(1),))


def test_an_operator_that_tvm_does_not_know():
    class Unknown(nn.Module):
        def forward(self, x):
            return torch.special.i0(x)

    with pytest.raises(ModelError, match="importer does not take 'i0'"):
        import_model(Unknown(), (torch.zeros(1),))


def test_relax_inputs_of_another_dtype():
    with pytest.raises(ModelError, match="input 'x' is float16; inputs must be float32"):
        import_model(relax_module((2, 3), "float16"))


def test_relax_inputs_with_symbolic_shapes():
    @I.ir_module
    class Dynamic:
        @R.function
        def main(x: R.Tensor(("n", 3), "float32")) -> R.Tensor(("n", 3), "float32"):
            with R.dataflow():
                y = R.nn.relu(x)
                R.output(y)
            return y

    with pytest.raises(ModelError, match="input 'x' has a dynamic shape"):
        import_model(Dynamic)


def test_relax_weights_that_are_not_finite_name_the_layer():
    weight = np.full((3, 2), np.nan, np.float32)
    with pytest.raises(ModelError, match="weights of layer 'dense_0' hold NaN"):
        import_model(relax_module((1, 3), weight=weight))


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_relax_biases_that_are_not_finite_name_the_layer(value, channels):
    weight, bias = np.ones((3, channels), np.float32), np.zeros(channels, np.float32)
    bias[-1] = value
    with pytest.raises(ModelError, match="the bias of layer 'dense_0' hold NaN or infinite"):
        import_model(relax_module((4, 3), weight=weight, added=bias))


@pytest.mark.parametrize("channels", [1, 2])
def test_a_mask_may_hold_infinity_but_not_nan(channels):
    weight, mask = np.ones((3, channels), np.float32), np.zeros((4, channels), np.float32)
    mask[1] = -np.inf
    import_model(relax_module((4, 3), weight=weight, added=mask))
    mask[2] = np.nan
    with pytest.raises(ModelError, match="what is added to layer 'dense_0' holds NaN"):
        import_model(relax_module((4, 3), weight=weight, added=mask))


def test_a_relax_module_without_main():
    module = relax_module((1, 3))
    renamed = IRModule({"forward": module["main"].with_attr("global_symbol", "forward")})
    with pytest.raises(ModelError, match="no Relax function 'main'"):
        import_model(renamed)


def test_a_relax_module_with_further_functions():
    @I.ir_module
    class Two:
        @R.function
        def main(x: R.Tensor((1,), "float32")) -> R.Tensor((1,), "float32"):
            return x

        @R.function
        def other(x: R.Tensor((1,), "float32")) -> R.Tensor((1,), "float32"):
            return x

    with pytest.raises(ModelError, match="it also has other"):
        import_model(Two)


def test_a_relax_module_with_a_branch():
    @I.ir_module
    class Branch:
        @R.function
        def main(c: R.Tensor((), "bool"), x: R.Tensor((1,), "float32")) -> R.Tensor((1,), "float32"):
            if c:  # noqa: SIM108
                y = R.nn.relu(x)
            else:
                y = R.exp(x)
            return y

    with pytest.raises(ModelError, match="is a branch or nested function"):
        import_model(Branch)
