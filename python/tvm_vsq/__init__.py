"""Per-vector scaled quantization (VS-Quant) compiled for a simulated accelerator.

`compile` takes a trained network to an `Executable`, which runs, profiles, explains and saves itself.
"""

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from tvm_vsq.api import choose_formats, compile, profile_formats, quantization_report, quantize_model, tune
from tvm_vsq.errors import VsqError, VsqWarning
from tvm_vsq.hardware import HardwareConfig, load_hardware
from tvm_vsq.quantize import QuantConfig, Rule
from tvm_vsq.runtime import Executable, Profile, load
from tvm_vsq.schedule import Database
from tvm_vsq.torch_module import fake_quantize
from tvm_vsq.tvm_hooks import register_with_tvm

__version__ = version("tvm-vsq")

__all__ = [
    "Database",
    "Executable",
    "HardwareConfig",
    "Profile",
    "QuantConfig",
    "Rule",
    "VsqError",
    "VsqWarning",
    "choose_formats",
    "compile",
    "export_onnx",
    "export_safetensors",
    "fake_quantize",
    "load",
    "load_hardware",
    "load_safetensors",
    "profile_formats",
    "quantization_report",
    "quantize_model",
    "tune",
]

if TYPE_CHECKING:
    from tvm_vsq.export import export_onnx, export_safetensors, load_safetensors


def __getattr__(name: str) -> Any:
    # onnx and safetensors are loaded by those who use them
    if name in ("export_onnx", "export_safetensors", "load_safetensors"):
        from tvm_vsq import export

        return getattr(export, name)
    raise AttributeError(f"module 'tvm_vsq' has no attribute '{name}'")


register_with_tvm()
