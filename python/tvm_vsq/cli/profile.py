"""`tvm-vsq profile`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tvm_vsq.cli import completion, options
from tvm_vsq.cli.inputs import check_outputs, load_artifact, read_arrays
from tvm_vsq.cli.printing import print_result

if TYPE_CHECKING:
    from tvm_vsq.runtime import EnergyTables, Executable, Profile
    from tvm_vsq.study.report import QuantReport


def command(
    artifact: options.Artifact,
    input_file: Annotated[
        Path | None,
        typer.Option(
            "--input", help="One sample: .npy, or .npz with an array an input, by its name. Default: zeros."
        ),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Also write a page: roofline, sortable tables, timeline, glossary.")
    ] = None,
    quality: Annotated[
        Path | None,
        typer.Option(help="What `tvm-vsq report --json` printed of the same network, shown in the page."),
    ] = None,
    trace: Annotated[
        Path | None, typer.Option(help="Also write a timeline (JSON) for ui.perfetto.dev.")
    ] = None,
    why: Annotated[
        bool, typer.Option(help="Also print what each layer waits for, its roofline and critical path.")
    ] = False,
    technology: Annotated[
        str | None,
        typer.Option(
            help="Energies of this process: a name or YAML path. Default: the target's.",
            autocompletion=completion.technologies,
        ),
    ] = None,
    dram: Annotated[
        str | None,
        typer.Option(help="Energies with this kind of DRAM: likewise.", autocompletion=completion.drams),
    ] = None,
    tables: Annotated[
        bool,
        typer.Option(help="Also print the energy under every shipped process, and that of --technology."),
    ] = False,
    against: Annotated[
        list[Path] | None,
        typer.Option(help="Also profile this artifact, for --tables; may be given again."),
    ] = None,
    wide: options.Wide = False,
    as_json: options.Json = False,
) -> None:
    """Run one inference of ARTIFACT and report cycles and energy per layer."""
    if against and not tables:
        raise typer.BadParameter("it has a say in --tables alone; give that too", param_hint="--against")
    if quality and not html:
        raise typer.BadParameter("it stands in the page alone; give --html, too", param_hint="--quality")
    check_outputs((html, ()), (trace, ()))
    report = None if quality is None else _read_quality(quality)
    arrays = None if input_file is None else read_arrays(input_file)
    result = _profiled(load_artifact(artifact), arrays, technology)
    if dram is not None:
        result = result.with_technology(result.technology, dram)
    if html is not None:
        title = f"{artifact.stem} on {result.target}, {result.hardware.built_for}"
        result.to_html(html, quality=report, title=title)
    if trace is not None:
        result.to_trace(trace)
    data, text = result.to_dict(), result.to_str(wide=wide)
    if why:
        bottlenecks = result.why()
        found_why = bottlenecks.to_dict()
        data |= {"why": found_why["layers"], "causes": found_why["causes"]}
        text = f"{text}\n{bottlenecks.to_str(wide=wide)}"
    if tables:
        others = {path: _profiled(load_artifact(path), arrays, technology) for path in against or []}
        found = _under_all_tables({artifact: result, **others}, technology, dram)
        data["tables"], text = found.energy_pj, f"{text}\n{found.to_str(wide=wide)}"
    print_result(data, text, as_json)


def _read_quality(path: Path) -> QuantReport:
    from tvm_vsq.study.report import QuantReport

    return QuantReport.from_json(path)


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
