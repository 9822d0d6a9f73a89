"""The command line: a thin skin over the Python API. A command is a file, and a name in `commands.py`."""

from tvm_vsq.cli.commands import app, main

__all__ = ["app", "main"]
