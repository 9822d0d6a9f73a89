"""Relax modules that come from elsewhere."""

from __future__ import annotations

from tvm import relax

from tvm_vsq.errors import ModelError
from tvm_vsq.frontend.layers import bind_parameters
from tvm_vsq.tvm_compat import IRModule


def from_relax(module: IRModule) -> IRModule:
    """Check that `module` is one function "main"; bind the weights TVM's importers attach as "params".

    TIR functions that it calls stay as they are. Raises ModelError for further Relax functions, a missing
    "main", or branches.
    """
    names = sorted(variable.name_hint for variable in module.get_global_vars())
    if "main" not in names or not isinstance(module["main"], relax.Function):
        raise ModelError(
            f"the IRModule has no Relax function 'main' (it has: {', '.join(names) or 'nothing'}); rename it"
        )
    functions = {variable.name_hint: function for variable, function in module.functions_items()}
    others = [name for name in names if name != "main" and isinstance(functions[name], relax.Function)]
    if others:
        raise ModelError(
            f"the IRModule must hold only 'main', it also has {', '.join(others)}; inline or remove them"
        )
    module = relax.transform.Normalize()(module)
    check_straight_line(module["main"])
    return bind_parameters(module, {})


def check_straight_line(function: relax.Function) -> None:
    """Raise ModelError for a function that is not a sequence of bindings without branches."""
    if not isinstance(function.body, relax.SeqExpr):
        raise ModelError(
            "'main' is not a sequence of bindings; build it with relax.BlockBuilder or TVMScript"
        )
    for block in function.body.blocks:
        for binding in block.bindings:
            if isinstance(binding, relax.MatchCast):
                raise ModelError(
                    f"'main' checks the shape of '{binding.var.name}' at run time; give it static shapes"
                )
            if isinstance(binding.value, relax.If | relax.Function):
                raise ModelError(
                    f"'{binding.var.name}' is a branch or nested function; 'main' must be straight-line"
                )
