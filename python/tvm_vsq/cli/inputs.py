"""What the command line is given: models, arrays, shapes and configs, each error one line that names it."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import resource
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tvm_vsq.errors import InputError, VsqError, first_line, shown
from tvm_vsq.files import check_output, parse_json, read_text

if TYPE_CHECKING:
    from tvm_vsq.runtime import Executable

_MODEL_SUFFIXES = (".pt2", ".onnx", ".json")
_LARGEST_INPUT = 1 << 28
_LARGEST_MODULE = 1 << 32


def check_outputs(*outputs: tuple[Path | None, tuple[str, ...]]) -> None:
    """`check_output` of each (path, suffixes) that was asked for; before the work that is written there."""
    for path, suffixes in outputs:
        if path is not None:
            check_output(path, *suffixes)


def check_inputs(model: Path, target: str, *arrays: Path | None) -> None:
    """That the files and the target that a command was given exist, before what takes seconds is imported."""
    from tvm_vsq.hardware import load_hardware

    _require_file(model, "model")
    if model.suffix not in _MODEL_SUFFIXES:
        raise InputError(
            f"cannot read {shown(str(model))}: the suffix must be .pt2 (torch.export.save), .onnx, or .json "
            "(tvm.ir.save_json)"
        )
    for path in arrays:
        if path is not None:
            _require_file(path, "array")
    load_hardware(target)


def read_model(path: Path) -> Any:
    """What `tvm_vsq.compile` takes, by suffix."""
    if path.suffix == ".onnx":
        return path
    if path.suffix == ".pt2":
        from tvm_vsq.frontend.torch_archive import read_archive

        with _refusing(path, "is not a torch.export archive; write it with torch.export.save"):
            return read_archive(path)
    import tvm

    what = "is not a TVM module in JSON; write it with tvm.ir.save_json"
    text = read_text(path, limit=_LARGEST_MODULE)
    parse_json(text, f"{shown(str(path))} {what}")  # what is nested too deeply would end TVM's reader
    with _refusing(path, what):
        _require_survival(lambda: tvm.ir.load_json(text))
        return tvm.ir.load_json(text)


def load_artifact(path: Path) -> Executable:
    """The artifact in `path`; raises as `tvm_vsq.load` does."""
    if not os.path.exists(path):
        raise InputError(f"cannot load '{path}': there is no such file")
    from tvm_vsq.runtime import load

    return load(path)


def _require_survival(read: Callable[[], object]) -> None:
    """Raise ValueError if `read` ends the process: TVM follows references in circles, and then some."""
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            read()
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        raise ValueError("its nodes refer to each other in a way that ends TVM's reader")


def example_inputs_of(shapes: list[str] | None, model: Path) -> Any:
    """Zeros of the shapes of `--shape`; None without."""
    if shapes and model.suffix == ".json":
        raise InputError(f"--shape {shown(shapes[0])}: a Relax module (.json) has its shapes; leave it out")
    import numpy as np

    return None if not shapes else tuple(np.zeros(_shape(text), np.float32) for text in shapes)


def _shape(text: str) -> list[int]:
    if not re.fullmatch(r"[0-9]{1,12}(x[0-9]{1,12})*", text):
        raise InputError(f"--shape {shown(text)} is not understood: write 1x3x32x32")
    shape = [int(part) for part in text.split("x")]
    if min(shape) < 1:
        raise InputError(f"--shape {shown(text)}: each extent must be at least 1")
    if len(shape) > 16 or prod(shape) > _LARGEST_INPUT:
        raise InputError(
            f"--shape {shown(text)}: an input has at most 16 axes and {_LARGEST_INPUT:,} elements"
        )
    return shape


_UNNAMED = re.compile(r"(arr_\d+)?")
"""What numpy.savez calls arrays that it is given by position; the one of a .npy has no name."""


def read_arrays(path: Path) -> Any:
    """The array of a .npy or .npz file; of several, a mapping by the names of inputs, or a tuple if they were
    saved without names, so that they have the order of inputs.
    """
    import numpy as np

    _require_file(path, "array")
    with _refusing(path, "is not a .npy or .npz file of numbers; write it with numpy.save or numpy.savez"):
        data = np.load(path, allow_pickle=False)
        arrays = {"": data} if isinstance(data, np.ndarray) else {name: data[name] for name in data.files}
        if not arrays or not all(isinstance(array, np.ndarray) for array in arrays.values()):
            raise ValueError("it holds no array")
    if all(map(_UNNAMED.fullmatch, arrays)):
        return next(iter(arrays.values())) if len(arrays) == 1 else tuple(arrays.values())
    return arrays


def read_quant(text: str | None) -> Any:
    """The notation as it is, or the config in a JSON file."""
    if text is None:
        return None
    if not text.endswith(".json"):
        from tvm_vsq.formats import parse_notation

        parse_notation(text)
        return text
    from tvm_vsq import QuantConfig

    try:
        return QuantConfig.from_json(read_text(text))
    except VsqError as error:
        raise InputError(f"cannot read the quantization config {shown(text)}: {error}") from None


def _require_file(path: Path, kind: str) -> None:
    if os.path.isdir(path):
        raise InputError(f"cannot read {shown(str(path))}: it is a folder; give the name of a file")
    if not os.path.exists(path):
        raise InputError(f"there is no {kind} file {shown(str(path))}")


@contextmanager
def _refusing(path: Path, what: str) -> Iterator[None]:
    """Turn whatever a reader of others raises into one line, and what it logs and warns of into nothing."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except VsqError:
        raise
    except Exception as error:
        raise InputError(f"{shown(str(path))} {what} ({first_line(error)})") from None
    finally:
        logging.disable(before)
