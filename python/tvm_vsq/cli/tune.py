"""`tvm-vsq tune`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import tvm_vsq
from tvm_vsq.cli import options
from tvm_vsq.cli.inputs import check_inputs, example_inputs_of, read_model, read_quant
from tvm_vsq.cli.printing import print_json
from tvm_vsq.files import check_output
from tvm_vsq.terminal import Column, Kind, Table, terminal_width

if TYPE_CHECKING:
    from tvm_vsq.tuning import TunedLayer


def command(
    model: options.ModelPath,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Database to write; an existing one is extended.")
    ],
    target: options.Target = "vsq-accel",
    quant: options.Quant = None,
    trials: Annotated[int, typer.Option(min=1, help="Schedules measured for each distinct layer.")] = 64,
    seed: Annotated[int, typer.Option(help="Seed of the search.")] = 0,
    shape: options.Shapes = None,
    check_import: options.CheckImport = True,
    wide: options.Wide = False,
    as_json: options.Json = False,
) -> None:
    """Search the schedules of MODEL's layers for fewer simulated cycles, and less energy times cycles."""
    check_output(output)
    check_inputs(model, target)
    example_inputs, config = example_inputs_of(shape, model), read_quant(quant)
    layers: list[TunedLayer] = []
    tvm_vsq.tune(
        read_model(model),
        target,
        trials=trials,
        example_inputs=example_inputs,
        quant=config,
        seed=seed,
        database=output,
        report=layers.append,
        progress=not as_json,
        check_import=check_import,
    )
    if as_json:
        print_json(_as_data(output, layers))
    else:
        print(*_table(layers).lines(None if wide else terminal_width()), f"wrote {output}", sep="\n")


def _as_data(output: Path, layers: list[TunedLayer]) -> dict[str, Any]:
    default, tuned = _of_the_model(layers)
    rows = [asdict(layer) for layer in layers]
    for row in rows:
        del row["model_default_cycles"], row["model_cycles"]
    return {"output": str(output), "default_cycles": default, "cycles": tuned, "layers": rows}


def _of_the_model(layers: list[TunedLayer]) -> tuple[int, int]:
    """Its cycles with default and with tuned schedules."""
    return (layers[-1].model_default_cycles, layers[-1].model_cycles) if layers else (0, 0)


def _table(layers: list[TunedLayer]) -> Table:
    columns = (
        Column("layer", kind=Kind.NAME),
        Column("same layers", 2),
        Column("default cycles"),
        Column("tuned cycles"),
        Column("saved", 1),
        Column("workload", 3, Kind.WORD),
    )
    rows = [
        (
            layer.layers[0],
            str(len(layer.layers) - 1),
            *_saved(layer.default_cycles, layer.cycles),
            layer.workload,
        )
        for layer in layers
    ]
    rows.append(("the model", "", *_saved(*_of_the_model(layers)), ""))
    return Table("Each layer by itself, and the whole model", columns, rows, last=1)


def _saved(default: int, tuned: int) -> tuple[str, str, str]:
    return f"{default:,}", f"{tuned:,}", f"{1 - tuned / default:.1%}" if default else "-"
