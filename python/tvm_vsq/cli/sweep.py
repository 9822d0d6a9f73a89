"""`tvm-vsq sweep`."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from tvm_vsq.cli import options
from tvm_vsq.cli.inputs import (
    check_inputs,
    check_outputs,
    example_inputs_of,
    read_arrays,
    read_model,
    read_quant,
)
from tvm_vsq.errors import ConfigError, InputError, first_line, shown
from tvm_vsq.files import PLOTS, parse_yaml


def command(
    model: options.ModelPath,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="Folder for results: a new one, or of an interrupted sweep, which goes on."
        ),
    ],
    calibration: Annotated[
        Path | None, typer.Option(help="Sample inputs, as for compile. Without: no accuracy, only costs.")
    ] = None,
    space: Annotated[
        Path | None,
        typer.Option(help="YAML file: a mapping from axes to lists of values, or a list of such mappings."),
    ] = None,
    axis: Annotated[
        list[str] | None,
        typer.Option(
            help="An axis, as quant=4/4/4/4,8/8/-/- or dram.bytes_per_cycle=8,16; once for each. Axes are "
            "quant, vector_size, scale_product_bits, target, and every field of `target show`."
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Inputs to evaluate on, as for compile. Default: those of --calibration."),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            help=".npy of the right class of each sample of --data: measures the accuracy. Without: the "
            "relative error of results against fp32."
        ),
    ] = None,
    evaluate: Annotated[
        str | None,
        typer.Option(help="FILE.py:FUNCTION of your own: takes the network, returns a number or a dict."),
    ] = None,
    target: options.Target = "vsq-accel",
    quant: Annotated[
        Path | None, typer.Option(help="A QuantConfig as .json with the settings besides formats.")
    ] = None,
    objective: Annotated[
        list[str] | None,
        typer.Option(help="What the front is of, as energy_uj or max:utilization; once for each."),
    ] = None,
    constraint: Annotated[
        list[str] | None,
        typer.Option(help='As "area_mm2 < 2" or "accuracy >= fp32 - 0.01"; once for each.'),
    ] = None,
    search: Annotated[str, typer.Option(help="grid (all points), nsga2 or tpe (--trials of them).")] = "grid",
    trials: Annotated[int | None, typer.Option(help="Points that nsga2 or tpe proposes.")] = None,
    schedules: Annotated[
        str,
        typer.Option(help="default (for all points), auto (shipped ones), tune, or a database file."),
    ] = "default",
    tune_trials: Annotated[int, typer.Option(help="Schedules measured for each layer, with tune.")] = 64,
    seed: Annotated[int, typer.Option(help="Of --search and of tuning.")] = 0,
    technology: Annotated[
        str | None,
        typer.Option(
            help="Energies and areas of this process: a name or YAML path. Default: the targets' own."
        ),
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes. Default: a core each.")] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Of a Dask cluster that does the work, as tcp://host:8786.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Also write a page with the front and all points.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Also plot the front (.png, .svg, .pdf).")] = None,
    shape: options.Shapes = None,
    check_import: options.CheckImport = True,
    wide: options.Wide = False,
    as_json: options.Json = False,
) -> None:
    """Measure accuracy, cycles, energy and area of MODEL in many formats and on many accelerators.

    What is finished is in the folder: after Ctrl-C or a crash, the same command goes on from there.
    """
    check_outputs((html, ()), (plot, PLOTS))
    check_inputs(model, target, calibration, data, labels)
    if calibration is None and (data is not None or labels is not None):
        raise typer.BadParameter("to evaluate, give samples with --calibration, too", param_hint="--data")
    if labels is not None and (data is None or evaluate is not None):
        raise typer.BadParameter("labels are of --data, and --evaluate has its own", param_hint="--labels")
    grids, example_inputs = _space(space, axis), example_inputs_of(shape, model)
    from tvm_vsq import sweep as sweep_model

    network = read_model(model)
    samples = None if calibration is None else read_arrays(calibration)
    metric: Any = None
    if evaluate is not None:
        metric = _function(evaluate)
    elif samples is not None:
        metric = _measured(network, example_inputs, samples, data, labels)
    if objective is None and metric is not None and evaluate is None and labels is None:
        objective = ["min:relative_error", "milliseconds", "energy_uj", "area_mm2"]
    try:
        result = sweep_model(
            network,
            grids,
            target,
            evaluate=metric,
            example_inputs=example_inputs,
            quant=None if quant is None else read_quant(str(quant)),
            calibration=samples,
            objectives=objective,
            constraints=constraint or (),
            search=search,
            trials=trials,
            schedules=schedules,
            tune_trials=tune_trials,
            seed=seed,
            technology=technology,
            folder=output,
            workers=workers,
            scheduler=scheduler,
            progress=not as_json,
            check_import=check_import,
        )
    except KeyboardInterrupt:
        print(
            f"interrupted; what is finished is in {output}: the same command goes on from there",
            file=sys.stderr,
        )
        raise typer.Exit(130) from None
    if html is not None:
        result.to_html(html)
    if plot is not None:
        result.plot(plot)
    written = ", ".join(str(path) for path in (output, html, plot) if path is not None)
    print(result.to_json() if as_json else f"{result.to_str(wide=wide)}\nwrote {written}")


def _space(file: Path | None, axes: list[str] | None) -> Any:
    """What `sweep` takes; values of --axis are YAML scalars."""
    if (file is None) == (not axes):
        raise typer.BadParameter("give a file with --space, or axes with --axis", param_hint="--space")
    if file is not None:
        found = parse_yaml(file, ConfigError)
    else:
        found = {}
        for text in axes or []:
            name, equals, values = text.partition("=")
            if not equals or name in found:
                raise ConfigError(
                    f"--axis {shown(text)} is not understood: write NAME=VALUE,VALUE, once for each"
                )
            found[name] = [_scalar(value) for value in values.split(",")]
    for grid in found if isinstance(found, list) else [found]:
        if isinstance(grid, dict) and "quant" in grid:
            grid["quant"] = _with_configs(grid["quant"])
    return found


def _with_configs(formats: Any) -> Any:
    """The values of the axis "quant", with what .json files hold; their names are then labels."""
    if isinstance(formats, dict):
        return {label: read_quant(text) if isinstance(text, str) else text for label, text in formats.items()}
    files = [text for text in formats if isinstance(text, str) and text.endswith(".json")]
    if not files or len(set(map(str, formats))) < len(formats):
        return formats
    return {str(text): read_quant(text) if isinstance(text, str) else text for text in formats}


def _scalar(text: str) -> Any:
    """A number, null, or else the text."""
    if text == "null":
        return None
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text


def _measured(
    network: Any, example: Any, samples: Any, data: Path | None, labels: Path | None
) -> Callable[[Any], Any]:
    """What to evaluate the network with."""
    import numpy as np

    from tvm_vsq.explore.evaluators import RelativeError, Top1
    from tvm_vsq.explore.fp32 import Fp32Network
    from tvm_vsq.importing import import_checked

    inputs = samples if data is None else read_arrays(data)
    if labels is not None:
        classes = read_arrays(labels)
        if not isinstance(classes, np.ndarray) or classes.ndim != 1 or classes.dtype.kind not in "iu":
            raise InputError(f"{shown(str(labels))}: labels are integers [samples], one array")
        return Top1(inputs, classes)
    fp32 = Fp32Network(import_checked(network, example, False))  # the sweep checks its own
    expected = fp32(*inputs) if isinstance(inputs, tuple) else fp32(inputs)
    return RelativeError(inputs, expected if isinstance(expected, tuple) else (expected,))


def _function(text: str) -> Callable[[Any], Any]:
    """The function that FILE.py:FUNCTION names; it goes to other processes with all that its file defines."""
    import cloudpickle

    path, _, name = text.rpartition(":")
    if not path.endswith(".py") or not name.isidentifier() or not Path(path).is_file():
        raise InputError(f"--evaluate {shown(text)}: write FILE.py:FUNCTION, a file that exists")
    # under a name of ours, so that a file numpy.py hides nothing; what lies beside it can be imported
    spec: Any = importlib.util.spec_from_file_location(f"_evaluate_{Path(path).stem}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.append(str(Path(path).resolve().parent))
    try:
        with redirect_stdout(sys.stderr):  # stdout is for JSON
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise InputError(f"--evaluate: {shown(path)} cannot be run: {first_line(error)}") from error
    cloudpickle.register_pickle_by_value(module)
    function: Any = getattr(module, name, None)
    if not callable(function):
        raise InputError(f"--evaluate: {shown(path)} has no function {name}")
    return cast(Callable[[Any], Any], function)
