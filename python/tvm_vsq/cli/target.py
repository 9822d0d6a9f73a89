"""`tvm-vsq target`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tvm_vsq.cli import completion, options
from tvm_vsq.cli.printing import print_json, print_result
from tvm_vsq.errors import ConfigError

if TYPE_CHECKING:
    from tvm_vsq.hardware import HardwareConfig


app = typer.Typer(no_args_is_help=True, help="The shipped accelerators.")


@app.command("list")
def target_list(as_json: options.Json = False) -> None:
    """List the shipped accelerators."""
    from tvm_vsq.hardware import list_targets, load_hardware

    configs = [load_hardware(name) for name in list_targets()]
    rows = [
        {
            "name": c.name,
            "quant": c.notation,
            "vector_size": c.vector_size,
            "macs_per_cycle": c.macs_per_cycle,
        }
        for c in configs
    ]
    lines = [
        f"{c.name:20} {c.notation:10} V={c.vector_size:<3} {c.macs_per_cycle} MACs/cycle" for c in configs
    ]
    print_result(rows, "\n".join(lines), as_json)


@app.command("show")
def target_show(
    name: options.TargetName,
    technology: Annotated[
        str | None,
        typer.Option(
            help="Name or YAML path of a process. Default: the accelerator's own.",
            autocompletion=completion.technologies,
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Print an accelerator as YAML, to edit and use as a target; in comments its sizes, area and peak."""
    from tvm_vsq.hardware import load_hardware
    from tvm_vsq.isa import widths

    hardware = load_hardware(name)
    derived = {"entry_bits": hardware.entry_bits, "depths": hardware.depths, "field_widths": widths(hardware)}
    follows = {"derived": derived, **_silicon(hardware, technology)}
    if as_json:
        print_json({**hardware.model_dump(), **follows})
    else:
        comments = [f"# {line}" for line in _as_yaml(follows).splitlines()]
        print(_as_yaml(hardware.model_dump()), "# What follows from these:", *comments, sep="\n")


def _as_yaml(data: dict[str, Any]) -> str:
    import yaml

    return yaml.safe_dump(data, sort_keys=False, width=72)


def _silicon(hardware: HardwareConfig, technology: str | None) -> dict[str, Any]:
    """Area and peak figures; where a technology has no areas, or a pipeline is too short, a note."""
    from tvm_vsq.hardware import load_technology
    from tvm_vsq.hardware.peak import PEAK_NOTE, clock_note, peak_of

    table = load_technology(hardware.technology if technology is None else technology)
    peak = peak_of(hardware, table)
    figures = {"tops": peak.tops, "watts": peak.watts, "tops_per_watt": peak.tops_per_watt}
    notes = {"peak_note": PEAK_NOTE}
    if note := clock_note(hardware, table):
        notes["clock_note"] = note
    try:
        area = hardware.area(table)
    except ConfigError as error:
        return {"area_mm2": None, "area_note": str(error), "peak": _rounded(figures), **notes}
    parts = {"total": area.mm2, "logic": area.logic_mm2, **area.by_group()}
    figures["tops_per_mm2"] = peak.tops / area.mm2
    found = {"area_technology": table.name, "area_mm2": _rounded(parts), "peak": _rounded(figures)}
    return {**found, **notes}


def _rounded(figures: dict[str, float]) -> dict[str, float]:
    return {name: float(f"{figure:.4g}") for name, figure in figures.items()}
