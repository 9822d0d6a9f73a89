"""The canonical form: the passes that lead to it, in order, and the checks before and after."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tvm
from tvm import relax

from tvm_vsq.errors import ModelError
from tvm_vsq.frontend.finite_masks import finite_masks
from tvm_vsq.frontend.flattened import flatten_channels_last
from tvm_vsq.frontend.fold_constants import fold_constants
from tvm_vsq.frontend.fold_logic import fold_logic
from tvm_vsq.frontend.fold_masks import fold_masks
from tvm_vsq.frontend.fold_pads import fold_pads
from tvm_vsq.frontend.fold_scales import fold_scales
from tvm_vsq.frontend.fold_slices import fold_slices
from tvm_vsq.frontend.identities import lookups_to_reshapes
from tvm_vsq.frontend.images_first import images_first
from tvm_vsq.frontend.local_response import local_responses
from tvm_vsq.frontend.masked_scores import masks_to_sums
from tvm_vsq.frontend.nan_guards import guards_to_choices
from tvm_vsq.frontend.nhwc import convolutions_to_nhwc
from tvm_vsq.frontend.norms import norms_to_operators
from tvm_vsq.frontend.order_products import order_products
from tvm_vsq.frontend.pixel_shuffles import pixel_shuffles_to_moves
from tvm_vsq.frontend.pools import unify_pools
from tvm_vsq.frontend.powers import powers_to_products
from tvm_vsq.frontend.prelus import prelus_to_sums
from tvm_vsq.frontend.product_views import views_of_products
from tvm_vsq.frontend.products import products_of_activations
from tvm_vsq.frontend.rotations import rotations_to_operators
from tvm_vsq.frontend.rows import rows_to_images
from tvm_vsq.frontend.rows_of_images import rows_of_images
from tvm_vsq.frontend.scales import scales_to_depthwise
from tvm_vsq.frontend.second_operands import transpose_second_operands
from tvm_vsq.frontend.selections import selections_to_takes
from tvm_vsq.frontend.shared_heads import share_second_operands
from tvm_vsq.frontend.sink_moves import sink_moves
from tvm_vsq.frontend.sink_permutes import sink_permutes
from tvm_vsq.frontend.sink_reshapes import sink_reshapes
from tvm_vsq.frontend.sink_rows import sink_rows
from tvm_vsq.frontend.softmaxes import softmaxes_to_operators
from tvm_vsq.frontend.split_linears import split_linears
from tvm_vsq.frontend.takes import takes_to_slices
from tvm_vsq.frontend.transposed import transposed_to_phases
from tvm_vsq.frontend.unbroadcast import unbroadcast
from tvm_vsq.frontend.upsample import resizes_to_phases
from tvm_vsq.frontend.views import views_to_reshapes
from tvm_vsq.frontend.wrap_indices import check_indices, wrap_indices
from tvm_vsq.graph import (
    Rebuilder,
    bindings,
    constant_array,
    definitions,
    dtype_of,
    is_constant,
    op_name,
    replace_main,
    static_shape,
)
from tvm_vsq.network import layer_names
from tvm_vsq.network.inputs import DTYPES, INPUTS_ARE
from tvm_vsq.network.names import weighted_layers
from tvm_vsq.tvm_compat import IRModule, Var


def canonicalize(module: IRModule) -> IRModule:
    """Bring a checked straight-line module into the form `import_model` promises.

    Raises ModelError for inputs that are not static tensors of `DTYPES` and weights that are not finite.
    """
    _check_inputs(module)
    _check_extents(module)
    for step in STEPS:
        module = step(module)
    _check_weights(module)
    check_indices(module)
    return module


def _one_block(module: IRModule) -> IRModule:
    return replace_main(module, Rebuilder(module["main"]).run())


def _tidy(module: IRModule) -> IRModule:
    passes = [relax.transform.CanonicalizeBindings(), relax.transform.DeadCodeElimination()]
    return tvm.transform.Sequential(passes)(module)


STEPS: list[Callable[[IRModule], IRModule]] = [
    _one_block,
    powers_to_products,
    wrap_indices,
    fold_constants,
    wrap_indices,
    fold_logic,
    unbroadcast,
    fold_constants,
    fold_logic,
    _tidy,
    views_to_reshapes,
    lookups_to_reshapes,
    fold_masks,
    unbroadcast,
    rotations_to_operators,
    split_linears,
    _tidy,
    masks_to_sums,
    guards_to_choices,
    finite_masks,
    products_of_activations,
    views_of_products,
    norms_to_operators,
    softmaxes_to_operators,
    share_second_operands,
    selections_to_takes,
    local_responses,
    prelus_to_sums,
    rows_to_images,
    sink_rows,
    _tidy,
    fold_scales,
    _tidy,
    fold_pads,
    fold_slices,
    _tidy,
    pixel_shuffles_to_moves,
    sink_reshapes,
    convolutions_to_nhwc,
    transposed_to_phases,
    sink_permutes,
    flatten_channels_last,
    unify_pools,
    takes_to_slices,
    resizes_to_phases,
    _tidy,
    sink_moves,
    scales_to_depthwise,
    sink_reshapes,
    order_products,
    fold_constants,
    _tidy,
    rows_of_images,
    _tidy,
    images_first,
    transpose_second_operands,
    _tidy,
]


def _check_inputs(module: IRModule) -> None:
    for param in module["main"].params:
        if not isinstance(param.ty, relax.TensorType):
            raise ModelError(f"input '{param.name}' is not a tensor; 'main' may only take tensors")
        if not isinstance(param.ty.shape, relax.ShapeExpr) or not all(
            isinstance(e, tvm.tirx.IntImm) for e in param.ty.shape
        ):
            raise ModelError(
                f"input '{param.name}' has a dynamic shape {param.ty.shape}; give every dimension a number"
            )
        if dtype_of(param) not in DTYPES:
            raise ModelError(
                f"input '{param.name}' is {dtype_of(param) or 'of unknown dtype'}; inputs must be "
                f"{INPUTS_ARE}"
            )
    body = module["main"].body.body
    fields = body.ty.fields if isinstance(body.ty, relax.TupleType) else [body.ty]
    if not all(isinstance(field, relax.TensorType) for field in fields):
        raise ModelError("'main' must return a tensor or a tuple of tensors")


def _check_extents(module: IRModule) -> None:
    """TVM hangs over tensors without elements, and nothing can be calibrated on them."""
    function = module["main"]
    for var in [*function.params, *(binding.var for binding in bindings(function))]:
        shape = var.ty.shape if isinstance(var.ty, relax.TensorType) else None
        if isinstance(shape, relax.ShapeExpr) and any(
            isinstance(extent, tvm.tirx.IntImm) and int(extent) < 1 for extent in shape
        ):
            kind = "input" if var in set(function.params) else "tensor"
            raise ModelError(
                f"{kind} '{var.name}' has shape {[int(n) for n in shape]}; every extent must be at least 1"
            )


def _check_weights(module: IRModule) -> None:
    names = layer_names(module)
    values = definitions(module["main"])
    # a convolution of sequences in a packed layout is no layer after all
    layers = [var for var in weighted_layers(module["main"]) if var in names]
    with_weights = [var for var in layers if is_constant(values[var].args[1])]
    for variable in with_weights:
        _check_constant(values[variable].args[1], f"the weights of layer '{names[variable]}'")
    for binding in bindings(module["main"]):
        if op_name(binding.value) in ("relax.add", "relax.subtract"):
            for position, operand in enumerate(binding.value.args):
                other = binding.value.args[1 - position]
                if is_constant(operand) and other in with_weights:
                    _check_added(operand, other, f"layer '{names[other]}'")


def _check_added(operand: relax.Expr, result: Var, layer: str) -> None:
    """operand: a constant that is added to a layer's result. A mask may hold infinity, a bias may not."""
    shape, channels = static_shape(operand), static_shape(result)[-1]
    count = int(np.prod(shape))
    if count == 1 or (count == channels and shape[-1] == channels):
        _check_constant(operand, f"the bias of {layer}")
    elif np.isnan(constant_array(operand)).any():
        raise ModelError(f"what is added to {layer} holds NaN; load finite weights")


def _check_constant(expr: relax.Expr, what: str) -> None:
    if dtype_of(expr) != "float32":
        raise ModelError(f"{what} are {dtype_of(expr)}; weights must be float32")
    if not np.isfinite(constant_array(expr)).all():
        raise ModelError(f"{what} hold NaN or infinite values (batch norm is folded in); load finite weights")
