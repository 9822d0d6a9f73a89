"""Imports a model, and has the result checked."""

from __future__ import annotations

from typing import Any

from tvm_vsq.errors import ConfigError, ModelError, phase, shown
from tvm_vsq.frontend import convert
from tvm_vsq.frontend.canonical import canonicalize
from tvm_vsq.threads import compiling
from tvm_vsq.tvm_compat import IRModule

_NOTE = "vsq_import"
_UNCHECKED = "not checked: check_import=False was given"


@compiling
def import_checked(model: Any, example_inputs: Any = None, check_import: bool = True) -> IRModule:
    """The canonical fp32 graph of `model` (`frontend.import_model`), whose results are those of the model.

    Both run once, on the example inputs, or, where there are none or they are all one number, on random ones:
    from the standard normal distribution, indices of their tables, masks of 0 and 1. What is in half
    precision is compared as fp32. Results must agree in number, shapes and dtypes, floating-point
    ones within `compare.TOLERANCE` of relative error in the 2-norm, others exactly. check_import: False skips
    this.

    Raises ModelError, as `import_model` does; for another result it names the first operator that differs,
    with a value on both sides.
    """
    if not isinstance(check_import, bool):
        raise ConfigError(f"check_import must be True or False, not {shown(check_import)}")
    with phase("importing the model", ModelError):
        raw, source = convert(model, example_inputs)
        module = canonicalize(raw)
    if not check_import:
        return module.with_attr(_NOTE, _UNCHECKED)
    # torch takes a second to import, which only those pay who call this
    from tvm_vsq.importing.check import check

    with phase("checking the import", ModelError):
        return module.with_attr(_NOTE, check(source, raw, module, example_inputs))


def import_note(module: IRModule) -> str:
    """What is known of the import of `module`, in words; empty if it was never checked."""
    return str((module.attrs or {}).get(_NOTE, ""))
