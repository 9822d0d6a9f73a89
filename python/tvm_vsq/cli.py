"""The command line: a thin skin over the Python API."""

from __future__ import annotations

import io
import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from tvm_vsq.cli_inputs import (
    check_outputs,
    example_inputs_of,
    read_arrays,
    read_model,
    read_quant,
)
from tvm_vsq.errors import ConfigError, VsqError
from tvm_vsq.files import PLOTS, check_output, check_output_folder, write_text
from tvm_vsq.threads import limit_torch_threads

if TYPE_CHECKING:
    from tvm_vsq.hardware import HardwareConfig
    from tvm_vsq.runtime import EnergyTables, Executable, Profile

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="VS-Quant networks on a simulated accelerator."
)
target_app = typer.Typer(no_args_is_help=True, help="The shipped accelerators.")
app.add_typer(target_app, name="target")

ModelPath = Annotated[
    Path, typer.Argument(help="A torch.export .pt2 file, an .onnx file, or a Relax module as .json.")
]
Shapes = Annotated[
    list[str] | None,
    typer.Option(
        "--shape", help="Shape of an input of an .onnx file with dynamic axes, as 1x3x32x32; once for each."
    ),
]
Artifact = Annotated[Path, typer.Argument(help="A .so file written by `tvm-vsq compile`.")]
Target = Annotated[str, typer.Option(help="Name of a shipped accelerator, or the path of a YAML file.")]
Quant = Annotated[
    str | None,
    typer.Option(
        help="W/A/ws/as, for example 4/4/4/4, or a QuantConfig as .json. Default: the target's own widths."
    ),
]
Schedules = Annotated[
    str, typer.Option(help="auto (shipped and matching), default (none), or a database file.")
]
CheckImport = Annotated[
    bool, typer.Option(help="Run the imported graph once beside the model, and refuse it where they differ.")
]
Strict = Annotated[
    bool, typer.Option(help="Refuse a network of which something between its layers would run on the CPU.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def _show_version(is_asked: bool) -> None:
    if is_asked:
        print(version("tvm-vsq"))
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """What stands in front of a command."""


def _print(data: Any, text: str, as_json: bool) -> None:
    print(json.dumps(data, indent=2) if as_json else text)


def _load(path: Path) -> Executable:
    from tvm_vsq import load

    return load(path)


@app.command("compile")
def compile_command(
    model: ModelPath,
    output: Annotated[Path, typer.Option("--output", "-o", help="The .so file to write.")],
    calibration: Annotated[
        Path | None,
        typer.Option(
            help="Sample inputs, samples along axis 0: .npy, or .npz with an array an input, by its name. "
            "Not for a model that is quantized already."
        ),
    ] = None,
    target: Target = "vsq-accel",
    quant: Quant = None,
    schedules: Schedules = "auto",
    shape: Shapes = None,
    check_import: CheckImport = True,
    strict: Strict = False,
    dump: Annotated[
        Path | None,
        typer.Option(
            help="A new or empty folder for what each phase makes of the model: Relax, and TensorIR and "
            "instructions of each layer."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Quantize MODEL, unless it is quantized already, and compile it for an accelerator."""
    from tvm_vsq import compile as compile_model

    check_output(output, ".so")
    if dump is not None:
        check_output_folder(dump)
    exe = compile_model(
        read_model(model),
        target,
        example_inputs=example_inputs_of(shape),
        quant=read_quant(quant),
        calibration=None if calibration is None else read_arrays(calibration),
        schedules=schedules,
        check_import=check_import,
        strict=strict,
        dump=dump,
        progress=not as_json,
    )
    exe.save(output)
    layers = exe.metadata.layers
    data = {
        "output": str(output),
        "target": exe.hardware.label,
        "quant": exe.hardware.notation,
        "layers": len(layers),
    }
    _print(
        data, f"wrote {output}: {len(layers)} layers on {exe.hardware.label} {exe.hardware.notation}", as_json
    )


@app.command()
def report(
    model: ModelPath,
    calibration: Annotated[Path, typer.Option(help="Sample inputs, as for compile.")],
    target: Target = "vsq-accel",
    quant: Quant = None,
    data: Annotated[
        Path | None, typer.Option(help="Inputs to compare with fp32 on. Default: the calibration data.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Also write a plot (.png, .svg, .pdf).")] = None,
    shape: Shapes = None,
    check_import: CheckImport = True,
    as_json: Json = False,
) -> None:
    """Report what quantization does to each layer of MODEL: SQNR, bits per element, clipping, codes."""
    from tvm_vsq import quantization_report

    check_outputs((plot, PLOTS))
    result = quantization_report(
        read_model(model),
        target,
        quant=read_quant(quant),
        example_inputs=example_inputs_of(shape),
        calibration=read_arrays(calibration),
        data=None if data is None else read_arrays(data),
        check_import=check_import,
    )
    if plot is not None:
        result.plot(plot)
    print(result.to_json() if as_json else result)


@app.command()
def mix(
    model: ModelPath,
    calibration: Annotated[Path, typer.Option(help="Sample inputs, as for compile.")],
    formats: Annotated[
        str, typer.Option(help="W/A/ws/as to choose from, separated by commas, for example 4/4/4/4,8/8/-/-.")
    ],
    target: Target = "vsq-accel",
    quant: Quant = None,
    target_sqnr_db: Annotated[
        float | None, typer.Option(help="Least signal-to-error ratio of the results in dB.")
    ] = None,
    max_energy_ratio: Annotated[
        float | None, typer.Option(help="Most energy, as part of that of the most expensive format.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the config as JSON, for --quant.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Also plot how sensitive each layer is.")] = None,
    shape: Shapes = None,
    check_import: CheckImport = True,
    as_json: Json = False,
) -> None:
    """Choose a number format for each layer of MODEL, under an aim for accuracy or energy."""
    from tvm_vsq import choose_formats

    check_outputs((output, ()), (plot, PLOTS))
    result = choose_formats(
        read_model(model),
        formats.split(","),
        target,
        target_sqnr_db=target_sqnr_db,
        max_energy_ratio=max_energy_ratio,
        quant=read_quant(quant),
        example_inputs=example_inputs_of(shape),
        calibration=read_arrays(calibration),
        progress=not as_json,
        check_import=check_import,
    )
    if output is not None:
        write_text(output, result.config.to_json())
    if plot is not None:
        result.sensitivity.plot(plot)
    print(result.to_json() if as_json else result)


@app.command()
def profile(
    artifact: Artifact,
    input_file: Annotated[
        Path | None,
        typer.Option(
            "--input", help="One sample: .npy, or .npz with an array an input, by its name. Default: zeros."
        ),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Also write the table as a page.")] = None,
    trace: Annotated[
        Path | None, typer.Option(help="Also write a timeline (JSON) for ui.perfetto.dev.")
    ] = None,
    why: Annotated[
        bool, typer.Option(help="Also print what each layer waits for, its roofline and critical path.")
    ] = False,
    technology: Annotated[
        str | None,
        typer.Option(help="Energies of this process: a name or YAML path. Default: the target's."),
    ] = None,
    dram: Annotated[str | None, typer.Option(help="Energies with this kind of DRAM: likewise.")] = None,
    tables: Annotated[
        bool,
        typer.Option(help="Also print the energy under every shipped process, and that of --technology."),
    ] = False,
    against: Annotated[
        list[Path] | None,
        typer.Option(help="Also profile this artifact, for --tables; may be given again."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Run one inference of ARTIFACT and report cycles and energy per layer."""
    if against and not tables:
        raise typer.BadParameter("it has a say in --tables alone; give that too", param_hint="--against")
    check_outputs((html, ()), (trace, ()))
    arrays = None if input_file is None else read_arrays(input_file)
    result = _profiled(_load(artifact), arrays, technology)
    if dram is not None:
        result = result.with_technology(result.technology, dram)
    if html is not None:
        result.to_html(html)
    if trace is not None:
        result.to_trace(trace)
    data, text = result.to_dict(), str(result)
    if why:
        bottlenecks = result.why()
        data["why"], text = bottlenecks.to_list(), f"{text}\n{bottlenecks}"
    if tables:
        others = {path: _profiled(_load(path), arrays, technology) for path in against or []}
        found = _under_all_tables({artifact: result, **others}, technology, dram)
        data["tables"], text = found.energy_pj, f"{text}\n{found}"
    _print(data, text, as_json)


def _profiled(exe: Executable, arrays: Any, technology: str | None) -> Profile:
    import numpy as np

    if arrays is None:
        arrays = tuple(np.zeros(spec.shape, spec.dtype) for spec in exe.metadata.inputs)
    return exe.profile(*(arrays if isinstance(arrays, tuple) else (arrays,)), technology=technology)


def _under_all_tables(
    profiles: dict[Path, Profile], technology: str | None, dram: str | None
) -> EnergyTables:
    from tvm_vsq.hardware import list_technologies, load_technology
    from tvm_vsq.runtime import compare_tables

    labels = [profile.hardware.label for profile in profiles.values()]
    # Artifacts of one target are told apart by their paths.
    names = [
        label if labels.count(label) == 1 else str(path) for label, path in zip(labels, profiles, strict=True)
    ]
    tables = [load_technology(name) for name in list_technologies()]
    if technology is not None and (own := load_technology(technology)) not in tables:
        tables.append(own)
    return compare_tables(dict(zip(names, profiles.values(), strict=True)), tables, dram)


@app.command()
def explain(artifact: Artifact, as_json: Json = False) -> None:
    """List every operator of ARTIFACT, where it runs and why."""
    rows = _load(artifact).explain()
    _print([row.model_dump() for row in rows], str(rows), as_json)


@app.command()
def disasm(artifact: Artifact, as_json: Json = False) -> None:
    """Print every instruction of ARTIFACT with the layer it came from."""
    text = _load(artifact).disassemble()
    _print(text.splitlines(), text.rstrip("\n"), as_json)


@app.command()
def tune(
    model: ModelPath,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Database to write; an existing one is extended.")
    ],
    target: Target = "vsq-accel",
    quant: Quant = None,
    trials: Annotated[int, typer.Option(min=1, help="Schedules measured for each distinct layer.")] = 64,
    seed: Annotated[int, typer.Option(help="Seed of the search.")] = 0,
    shape: Shapes = None,
    check_import: CheckImport = True,
    as_json: Json = False,
) -> None:
    """Search the schedules of MODEL's layers for fewer simulated cycles, and less energy times cycles."""
    from tvm_vsq import tune as tune_model

    check_output(output)
    database = tune_model(
        read_model(model),
        target,
        trials=trials,
        example_inputs=example_inputs_of(shape),
        quant=read_quant(quant),
        seed=seed,
        database=output,
        progress=not as_json,
        check_import=check_import,
    )
    rows = [record.model_dump() for record in database.records]
    lines = [f"{record.cycles:>10,} cycles  {record.workload}" for record in database.records]
    _print(rows, "\n".join([*lines, f"wrote {output}"]), as_json)


@app.command()
def rtl(
    target: Annotated[str, typer.Argument(help="Name of a shipped accelerator, or the path of a YAML file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="A new or empty folder for the files.")],
    check: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            max=10_000_000,
            help="Then simulate each block in Verilator, with its corners and N random transactions, 100 or "
            "more, and compare with the NumPy reference.",
        ),
    ] = 0,
    as_json: Json = False,
) -> None:
    """Write the datapath of TARGET as SystemVerilog: its sources, a top level for each block, and files.f."""
    from tvm_vsq.hardware import load_hardware
    from tvm_vsq.rtl import blocks, require_tool, write_rtl
    from tvm_vsq.rtl import check as check_block

    check_output_folder(output)
    hardware = load_hardware(target)
    if 0 < check < 100:
        raise typer.BadParameter(
            "give 100 or more: fewer hardly get through a pipeline", param_hint="--check"
        )
    if check:
        require_tool("verilator")
    paths = write_rtl(hardware, output)
    parts = blocks(hardware).values()
    found = [check_block(hardware, block, check, folder=output) for block in parts] if check else []
    if wrong := [result.summary(hardware.label) for result in found if result.wrong]:
        raise VsqError("\n".join(wrong))
    data = {
        "output": str(output),
        "target": hardware.label,
        "files": [path.name for path in paths],
        "clocks": {result.block: result.clocks for result in found},
    }
    lines = [f"{result.block}: {result.clocks:,} clocks as NumPy has them" for result in found]
    _print(data, "\n".join([*lines, f"wrote {output}: {len(parts)} blocks of {hardware.label}"]), as_json)


@target_app.command("list")
def target_list(as_json: Json = False) -> None:
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
    _print(rows, "\n".join(lines), as_json)


@target_app.command("show")
def target_show(
    name: Annotated[str, typer.Argument(help="Name or YAML path.")],
    technology: Annotated[
        str | None, typer.Option(help="Name or YAML path of a process. Default: the accelerator's own.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show every field of an accelerator, the sizes that follow, its area, and what it can do at most."""
    import yaml

    from tvm_vsq.hardware import load_hardware
    from tvm_vsq.isa import widths

    hardware = load_hardware(name)
    derived = {"entry_bits": hardware.entry_bits, "depths": hardware.depths, "field_widths": widths(hardware)}
    data = {**hardware.model_dump(), "derived": derived, **_silicon(hardware, technology)}
    _print(data, yaml.safe_dump(data, sort_keys=False).rstrip("\n"), as_json)


def _silicon(hardware: HardwareConfig, technology: str | None) -> dict[str, Any]:
    """Area and peak figures; where a technology has no areas, or a pipeline is too short, a note."""
    from tvm_vsq.hardware import load_technology
    from tvm_vsq.hardware.peak import PEAK_NOTE, peak_of

    table = load_technology(hardware.technology if technology is None else technology)
    peak = peak_of(hardware, table)
    figures = {"tops": peak.tops, "watts": peak.watts, "tops_per_watt": peak.tops_per_watt}
    notes = {"peak_note": PEAK_NOTE}
    highest = table.logic.highest_mhz if table.logic else None
    if highest is not None and hardware.clock_mhz > highest:
        notes["clock_note"] = (
            f"clock_mhz={hardware.clock_mhz} is taken as it is; the RTL meets {highest:g} MHz in {table.name}"
        )
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


def main() -> None:
    """Entry point: errors of the product become one message and exit code 1."""
    try:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")  # for names that are not Unicode
        limit_torch_threads()
        app()
    except (VsqError, OSError) as error:
        # Messages hold shapes such as [n, 16], which are no markup.
        text = f"[bold red]error:[/] {escape(str(error))}"
        Console(stderr=True, highlight=False).print(text, markup=True, soft_wrap=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
