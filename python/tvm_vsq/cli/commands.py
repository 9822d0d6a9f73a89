"""All commands, and what becomes of their errors."""

from __future__ import annotations

import io
import sys
import warnings
from importlib.metadata import version
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from tvm_vsq.cli import compare, compile, disasm, explain, mix, profile, report, rtl, sweep, target, tune
from tvm_vsq.errors import VsqError, VsqWarning
from tvm_vsq.threads import limit_torch_threads

_COMMANDS = (compile, report, mix, profile, compare, explain, disasm, tune, sweep, rtl)  # as in --help

app = typer.Typer(no_args_is_help=True, help="VS-Quant networks on a simulated accelerator.")
for _module in _COMMANDS:
    app.command(_module.__name__.rpartition(".")[2])(_module.command)
app.add_typer(target.app, name="target")


def _show_version(is_asked: bool) -> None:
    if is_asked:
        print(version("tvm-vsq"))
        raise typer.Exit


@app.callback()
def _before_commands(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    pass


_show_others = warnings.showwarning


def _show_warning(message: Warning | str, category: type[Warning], *place: Any, **named: Any) -> None:
    """Those of the product are one line; the place in the code helps nobody here."""
    if not issubclass(category, VsqWarning):
        _show_others(message, category, *place, **named)
        return
    Console(stderr=True, highlight=False).print(f"[bold]warning:[/] {escape(str(message))}", soft_wrap=True)


def main() -> None:
    """Entry point: errors of the product become one message and exit code 1."""
    warnings.showwarning = _show_warning
    try:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")  # for names that are not Unicode
        limit_torch_threads()
        app(prog_name="tvm-vsq")
    except (VsqError, OSError) as error:
        # Messages hold shapes such as [n, 16], which are no markup.
        text = f"[bold red]error:[/] {escape(str(error))}"
        Console(stderr=True, highlight=False).print(text, markup=True, soft_wrap=True)
        sys.exit(1)
