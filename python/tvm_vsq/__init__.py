"""Per-vector scaled quantization (VS-Quant) compiled for a simulated accelerator.

`compile` takes a trained network to an `Executable`, which runs, profiles, explains and saves itself.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tvm_vsq.libraries import when_imported

_HOMES = {
    "Database": "schedule",
    "Executable": "runtime",
    "HardwareConfig": "hardware",
    "Profile": "runtime",
    "QuantConfig": "quantize",
    "Rule": "quantize",
    "VsqError": "errors",
    "VsqWarning": "errors",
    "choose_formats": "api",
    "compare": "study.compare",
    "compile": "api",
    "export_onnx": "export",
    "export_safetensors": "export",
    "fake_quantize": "torch_module",
    "load": "runtime",
    "load_hardware": "hardware",
    "load_safetensors": "export",
    "profile_formats": "api",
    "quantization_report": "api",
    "quantize_model": "api",
    "sweep": "explore",
    "tune": "api",
}
"""The public names, each with the room that it is imported from when it is first asked for.

TVM and torch take seconds, which `tvm-vsq --help` does not have. No room may be called as one of them.
"""

__all__ = list(_HOMES)

if TYPE_CHECKING:  # the same for type checkers and editors
    from tvm_vsq.api import choose_formats as choose_formats
    from tvm_vsq.api import compile as compile
    from tvm_vsq.api import profile_formats as profile_formats
    from tvm_vsq.api import quantization_report as quantization_report
    from tvm_vsq.api import quantize_model as quantize_model
    from tvm_vsq.api import tune as tune
    from tvm_vsq.errors import VsqError as VsqError
    from tvm_vsq.errors import VsqWarning as VsqWarning
    from tvm_vsq.explore import sweep as sweep
    from tvm_vsq.export import export_onnx as export_onnx
    from tvm_vsq.export import export_safetensors as export_safetensors
    from tvm_vsq.export import load_safetensors as load_safetensors
    from tvm_vsq.hardware import HardwareConfig as HardwareConfig
    from tvm_vsq.hardware import load_hardware as load_hardware
    from tvm_vsq.quantize import QuantConfig as QuantConfig
    from tvm_vsq.quantize import Rule as Rule
    from tvm_vsq.runtime import Executable as Executable
    from tvm_vsq.runtime import Profile as Profile
    from tvm_vsq.runtime import load as load
    from tvm_vsq.schedule import Database as Database
    from tvm_vsq.study.compare import compare as compare
    from tvm_vsq.torch_module.fake_quantize import fake_quantize as fake_quantize

    __version__: str


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("tvm-vsq")
    if name not in _HOMES:
        raise AttributeError(f"module 'tvm_vsq' has no attribute '{name}'")
    found = globals()[name] = getattr(import_module(f"tvm_vsq.{_HOMES[name]}"), name)
    if "tvm" in sys.modules:
        _register_with_tvm()
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, "__version__"})


def _register_with_tvm() -> None:
    from tvm_vsq.tvm_hooks import register_with_tvm

    register_with_tvm()


when_imported("tvm", _register_with_tvm)
