"""Per-vector scaled quantization (VS-Quant) compiled for a simulated accelerator.

`compile` takes a trained network to an `Executable`, which runs, profiles, explains and saves itself.
"""

from importlib.metadata import version

from tvm_vsq.api import choose_formats, compile, profile_formats, quantization_report, quantize_model, tune
from tvm_vsq.build import register_with_tvm
from tvm_vsq.errors import VsqError
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.quantize import QuantConfig, Rule, fake_quantize
from tvm_vsq.runtime import Executable, Profile, load
from tvm_vsq.schedule import Database

__version__ = version("tvm-vsq")

__all__ = [
    "Database",
    "Executable",
    "HardwareConfig",
    "Profile",
    "QuantConfig",
    "Rule",
    "VsqError",
    "choose_formats",
    "compile",
    "fake_quantize",
    "load",
    "profile_formats",
    "quantization_report",
    "quantize_model",
    "tune",
]

register_with_tvm()
