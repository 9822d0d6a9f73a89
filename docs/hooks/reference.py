"""Reference that is made of the program itself: the command line, targets and tables, the glossary."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files as resources
from typing import Any

from mkdocs.structure.files import File, Files

from tvm_vsq.hardware import list_drams, list_targets, list_technologies, load_hardware
from tvm_vsq.pages.terms import TERMS

_AREAS = "open-45nm"
"""A table that has them."""


def on_files(files: Files, config: Any) -> Files:
    """Add the pages."""
    pages = {
        "glossary.md": _glossary(),
        "reference/command-line.md": _command_line(),
        "reference/targets.md": "\n".join(_targets()),
    }
    for path, text in pages.items():
        files.append(File.generated(config, path, content=text))
    return files


def _glossary() -> str:
    terms = [f"**{term}**\n:   {TERMS[term]}\n" for term in sorted(TERMS, key=str.lower)]
    return "# Glossary\n\nThe words of pages, reports and tables.\n\n" + "\n".join(terms)


def _command_line() -> str:
    """What typer writes of the commands."""
    app = [sys.executable, "-m", "typer", "tvm_vsq.cli.commands", "utils", "docs"]
    options = ["--name", "tvm-vsq", "--title", "The command line"]
    return subprocess.run([*app, *options], check=True, capture_output=True, text=True).stdout


def _targets() -> Iterator[str]:
    yield "# Targets and technologies\n"
    yield "What ships, as `tvm-vsq target list` lists it. A file of your own is one copy and a path away"
    yield "([how](../how-to/own-accelerator.md)): every key may be changed.\n"
    yield "## Accelerators\n"
    yield "| target | W/A/ws/as | V | lanes | MACs a cycle | clock MHz | technology | area mm2 |"
    yield "| --- | --- | ---: | ---: | ---: | ---: | --- | ---: |"
    for name in list_targets():
        chip = load_hardware(name)
        array = f"{chip.vector_size} | {chip.output_lanes} | {chip.macs_per_cycle}"
        rest = f"{chip.clock_mhz} | `{chip.technology}` | {chip.area(_AREAS).mm2:.2f}"
        yield f"| `{name}` | {chip.notation} | {array} | {rest} |"
    yield f"\nThe area is that of `{_AREAS}` ([area](../area.md)).\n"
    for name in list_targets():
        yield from _file(name, f"{name}.yaml")
    yield "## Technologies\n"
    yield "What an operation costs ([energy](../energy.md)), for `--technology` and `with_technology`.\n"
    for name in list_technologies():
        yield from _file(name, f"technology/{name}.yaml")
    yield "## Kinds of DRAM\n"
    yield "For `--dram`, in place of the one that the technology names.\n"
    for name in list_drams():
        yield from _file(name, f"technology/dram/{name}.yaml")


def _file(name: str, path: str) -> Iterator[str]:
    """A shipped description, folded."""
    text = resources("tvm_vsq").joinpath("target_configs", path).read_text(encoding="utf-8")
    yield f'??? abstract "{name}.yaml"\n\n    ```yaml'
    yield from (f"    {line}" for line in text.splitlines())
    yield "    ```\n"
