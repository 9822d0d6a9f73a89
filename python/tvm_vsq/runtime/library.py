"""A compiled model as a shared library, and back. All that may fail while it is written fails as OSError."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tvm_ffi
from tvm.support import cc

from tvm_vsq.errors import InputError
from tvm_vsq.files import private_folder
from tvm_vsq.runtime.seal import copy_sealed
from tvm_vsq.runtime.stderr import without_scopes

# What TVM looks for in a library: everything but machine code, and so all weights.
_IMPORTS = """
.section .rodata
.globl __tvm_ffi__library_bin
.type __tvm_ffi__library_bin, @object
.balign 64
__tvm_ffi__library_bin:
.incbin "imports.bin"
.size __tvm_ffi__library_bin, . - __tvm_ffi__library_bin
.section .note.GNU-stack, "", @progbits
"""

# Of no source that exists, and in a form that assemblers take with DWARF 5 only.
_LINE_NUMBERS = re.compile(r"^\t\.(?:file\t\d|loc\t).*\n", re.MULTILINE)


def modules_of(module: Any) -> Iterator[Any]:
    """A TVM module, and all that it imports."""
    pending = [getattr(module, "mod", module)]
    while pending:
        found = pending.pop()
        yield found
        pending.extend(found.imports)


def write_library(module: Any, library: Path) -> None:
    """Write what `module.export_library` does, with intermediate files in the library's folder.

    TVM lets LLVM write object files, which ends the process where it cannot. So LLVM only says the assembly
    of the machine code; this writes it, and a compiler driver assembles and links, in a process of its own.
    """
    compiler, folder = _compiler(), library.parent
    pack = tvm_ffi.get_global_func("runtime.ModulePackImportsToTensor")
    with without_scopes():
        packed = pack(getattr(module, "mod", module))
    (folder / "imports.bin").write_bytes(memoryview(packed.numpy()))
    parts = [part for part in modules_of(module) if part.is_compilation_exportable()]
    code = [_LINE_NUMBERS.sub("", str(part.inspect_source("asm"))) for part in parts]
    sources = [f"part{number}.s" for number in range(1 + len(code))]
    for source, text in zip(sources, [_IMPORTS, *code], strict=True):
        (folder / source).write_text(text, encoding="utf-8")
    options = ["-shared", "-fPIC", "-Wl,--strip-debug", "-lm"]
    _run([*compiler, "-o", library.name, *sources, *options], folder)


def _compiler() -> list[str]:
    """The command that TVM would call, too."""
    command = shlex.split(cc.get_cc() or "")
    if not command or shutil.which(command[0]) is None:
        missing = f"'{command[0]}' cannot be run" if command else "none is installed"
        raise OSError(f"a C++ compiler is needed, and {missing}; install g++, or name another one in CXX")
    return command


def _run(command: list[str], folder: Path) -> None:
    environment = os.environ | {"TMPDIR": str(folder)}
    run = subprocess.run(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    if run.returncode == 0:
        return
    said = run.stderr.decode(errors="replace").splitlines() or [f"exit status {run.returncode}"]
    raise OSError(f"'{command[0]}' failed: {said[-1] if len(said) < 2 else ' '.join(said[-2:])}")


def load_library(sealed: Path) -> Any:
    """The module in a sealed library; all of it is freed with its last reference.

    It is loaded from a private copy: what was checked is what is loaded, and stays so while it is mapped.
    """
    copy_sealed(sealed, Path(os.devnull))  # what is damaged is refused before room is taken
    parent = tempfile.gettempdir()
    try:
        with private_folder(Path(parent)) as folder:
            copy = folder / "model.so"
            copy_sealed(sealed, copy)
            with without_scopes():
                return tvm_ffi.load_module(copy, keep_module_alive=False)
    except OSError as error:
        raise InputError(
            f"it cannot be copied to '{parent}' ({error.strerror}); name another folder in TMPDIR"
        ) from None
