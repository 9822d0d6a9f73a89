"""Packages that only some uses need: what `pip install "tvm-vsq[name]"` brings."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from tvm_vsq.errors import ToolError


def extra(module: str, name: str, use: str) -> ModuleType:
    """The module of a package that the extra `name` brings. use: what needs it, in the plural.

    Raises ToolError if it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ToolError(
            f"{use} need {package}, which cannot be imported ({error}); it comes with: "
            f"pip install 'tvm-vsq[{name}]'"
        ) from None
