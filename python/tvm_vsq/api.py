"""The public functions: each one is a few phases in a row."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from tvm_vsq.codegen import region_layers
from tvm_vsq.deprecated import once_second
from tvm_vsq.dump import Dump
from tvm_vsq.errors import (
    CalibrationError,
    ConfigError,
    ModelError,
    QuantizationError,
    ScheduleError,
    VsqWarning,
    phase,
    shown,
)
from tvm_vsq.files import check_output
from tvm_vsq.frontend import as_quantized
from tvm_vsq.hardware import HardwareConfig, load_hardware
from tvm_vsq.importing import import_checked
from tvm_vsq.isa import layout_of
from tvm_vsq.pipeline import (
    build_executable,
    import_phases,
    quantize_phases,
    quantized_of,
    regions_of,
    run_phases,
)
from tvm_vsq.progress import progress_shown
from tvm_vsq.quantize import QuantConfig
from tvm_vsq.quantize.data import rereadable
from tvm_vsq.quantize.quantizer import prepare, quantize_prepared
from tvm_vsq.runtime import Executable
from tvm_vsq.schedule import Database, resolve_database
from tvm_vsq.study.measure import measure
from tvm_vsq.study.precision import MixedPrecision, PrecisionProfile, check_aim, check_formats
from tvm_vsq.study.report import QuantReport
from tvm_vsq.threads import compiling
from tvm_vsq.tuning import TunedLayer, program_cost, random_calibration, tune_layers
from tvm_vsq.tvm_compat import IRModule

Target = str | os.PathLike[str] | HardwareConfig
Quant = str | QuantConfig | None


@compiling
def compile(
    model: Any,
    target: Target = "vsq-accel",
    *,
    example_inputs: Any = None,
    quant: Quant = None,
    calibration: Any = None,
    like: Any = None,
    vectors: Sequence[str | int] = (),
    schedules: str | os.PathLike[str] | Database = "auto",
    verify: bool = True,
    check_import: bool = True,
    strict: bool = False,
    dump: str | os.PathLike[str] | None = None,
    progress: bool = False,
) -> Executable:
    """Quantize a trained network and compile it for an accelerator.

    model: torch.nn.Module (with example_inputs), torch.export.ExportedProgram, an ONNX model or the path of
    one (with example_inputs if it has dynamic axes), or a Relax IRModule; in fp32, ONNX also with
    QuantizeLinear and DequantizeLinear (docs/onnx.md). What is quantized already (the result of
    `quantize_model`, of `fake_quantize` or of its `to_relax`) is taken as it is, without the arguments that
    say how to quantize.
    Half precision is fp32 of the same numbers.
    example_inputs: a tensor, a tuple of them, or a mapping by the names of the inputs (a tokenizer's result);
    float32, int64, int32 or bool. The Executable takes its arguments in the same ways.
    target: name of a shipped accelerator, path of a YAML file, or a HardwareConfig.
    quant: the paper's W/A/ws/as notation, for example "4/4/4/4", or a QuantConfig. Default: the target's
    own widths.
    calibration: sample inputs, samples along axis 0: an array, a tuple or a mapping, or an iterable of such;
    what is measured on them fixes the activations' coarse scales.
    like: in place of calibration, what `quantize_model` or `fake_quantize` made of the same network at other
    shapes, with the same quant: layers of the same names take its integers and scales.
    vectors: inputs, by name, and results, by number, that are taken and given as the vectors that the
    accelerator stores, int16[..., CV, V+1], such as keys and values that are cached (docs/quantization.md).
    schedules: "auto" (tuned schedules that ship for this accelerator), "default" (none), a Database or its
    path, of which a VsqWarning says so if none of its records is used.
    verify: prove that the programs are free of races (docs/simulator.md, section 5); costs milliseconds.
    check_import: run the imported fp32 graph once beside the model, on example_inputs or random ones, and
    refuse it if results differ by more than 1e-3 (relative, 2-norm of each tensor). False leaves this out;
    `explain()` says which.
    strict: refuse a network of which an operator between the input's quantization and the last layer's result
    runs on the CPU, views that move no bytes excepted; the error names each with its reason.
    dump: a new or empty folder to write into what each phase makes of the model (`pipeline`): Relax, and the
    TensorIR and instructions of each layer; `index.txt` says what each file is.
    progress: show bars on stderr, if that is a terminal.

    Raises a VsqError that names what is wrong: ConfigError (target, quant), ModelError, CalibrationError,
    QuantizationError (numbers that do not fit; what strict refuses), ScheduleError (a layer that fits no
    scratchpad), InputError (dump).
    """
    _check_flags(verify=verify, check_import=check_import, strict=strict, progress=progress)
    hardware = _resolve_target(target)
    database = resolve_database(schedules, hardware)
    files = None if dump is None else Dump(dump)
    with progress_shown(progress):
        quantized = as_quantized(
            model, example_inputs=example_inputs, quant=quant, calibration=calibration, like=like
        )
        if quantized is None:
            quantized = quantized_of(
                model,
                hardware,
                quant,
                calibration if like is not None else _required(calibration),
                example_inputs=example_inputs,
                check_import=check_import,
                dump=files,
                like=_quantized_like(like),
            )
        elif files is not None:
            files.module("quantized", "the model as it was given", quantized)
        executable = build_executable(quantized, hardware, database, verify, files, strict, vectors)
    if schedules not in ("auto", "default"):
        _warn_of_unused(database, executable)
    return executable


def _warn_of_unused(database: Database, executable: Executable) -> None:
    hardware, layers = executable.hardware, executable.metadata.layers
    if not database.records or any(layer.tuned for layer in layers):
        return
    known = database.current(hardware).records
    why = "are for other layers" if known else "are for other accelerators, or of another version"
    warnings.warn(
        f"none of the {len(database.records)} schedules that were given is used, they {why}: all layers on "
        f"{hardware.name} have default ones; tune this model for this target",
        VsqWarning,
        stacklevel=4,
    )


@compiling
def quantize_model(
    model: Any,
    target: Target = "vsq-accel",
    *,
    example_inputs: Any = None,
    quant: Quant = None,
    calibration: Any = None,
    like: Any = None,
    check_import: bool = True,
    dump: str | os.PathLike[str] | None = None,
) -> IRModule:
    """The first half of `compile`: a Relax module with vsq.quantize / vsq.dequantize around its layers.

    It can be read, run on the CPU as fake-quant, and given to `compile`, or to TVM's own
    `tvm.compile(module, target=hardware.tvm_target())`.
    Arguments and errors are those of `compile`; a model that is quantized already is refused.
    """
    _check_flags(check_import=check_import)
    hardware = _resolve_target(target)
    files = None if dump is None else Dump(dump)
    return quantized_of(
        model,
        hardware,
        quant,
        calibration if like is not None else _required(calibration),
        example_inputs=example_inputs,
        check_import=check_import,
        dump=files,
        like=_quantized_like(like),
    )


def _quantized_like(like: Any) -> IRModule | None:
    """The fake-quantized module that `like` is or holds. Raises ModelError for anything else."""
    module = None if like is None else as_quantized(like)
    if like is not None and module is None:
        raise ModelError(
            f"like= must be what quantize_model or fake_quantize returned, not {type(like).__name__}"
        )
    return module


@compiling
@phase("measuring the quantized model", QuantizationError)
def quantization_report(
    model: Any,
    target: Target = "vsq-accel",
    *,
    example_inputs: Any = None,
    quant: Quant = None,
    calibration: Any = None,
    data: Any = None,
    progress: bool = False,
    check_import: bool = True,
) -> QuantReport:
    """What quantization does to each layer of `model`: SQNR, bits per element, clipping, use of codes.

    data: inputs to compare the quantized with the fp32 network on; the calibration data if None.
    quant: as in `compile`; formats other than the target's are evaluated as if it were built for them.
    Other arguments and errors are those of `compile`.
    """
    _check_flags(check_import=check_import, progress=progress)
    hardware = _resolve_target(target)
    config = QuantConfig.of(quant, hardware)
    calibration = rereadable(_required(calibration))
    built = config.hardware(hardware)
    with progress_shown(progress):
        canonical = import_checked(model, example_inputs, check_import)
        prepared = prepare(canonical, config, built, calibration)
        quantized = quantize_prepared(prepared, config, built, calibration)
        return measure(prepared, quantized, calibration if data is None else data)


@once_second("formats", lambda value: isinstance(value, list | tuple))
@compiling
@phase("choosing formats", QuantizationError)
def choose_formats(
    model: Any,
    target: Target = "vsq-accel",
    *,
    formats: Sequence[str],
    target_sqnr_db: float | None = None,
    max_energy_ratio: float | None = None,
    example_inputs: Any = None,
    quant: Quant = None,
    calibration: Any = None,
    data: Any = None,
    progress: bool = True,
    check_import: bool = True,
) -> MixedPrecision:
    """Choose one of `formats` (W/A/ws/as) for each layer of `model`, from how sensitive each layer is.

    target_sqnr_db: the cheapest mix whose results have at least this signal-to-error ratio against fp32, in
        dB; or
    max_energy_ratio: the most accurate mix that takes at most this part of the energy of the most expensive
        of the formats used everywhere.
    All others are as for `profile_formats`, whose `choose` serves several aims with one profile.

    The result prints, and holds the QuantConfig. Raises ConfigError for a bad request, QuantizationError if
    no mix fulfils it, and the errors of `compile`.
    """
    check_formats(formats)
    check_aim(target_sqnr_db, max_energy_ratio)
    profile = profile_formats(
        model,
        target,
        formats=formats,
        example_inputs=example_inputs,
        quant=quant,
        calibration=calibration,
        data=data,
        progress=progress,
        check_import=check_import,
    )
    return profile.choose(target_sqnr_db=target_sqnr_db, max_energy_ratio=max_energy_ratio)


@once_second("formats", lambda value: isinstance(value, list | tuple))
@compiling
@phase("measuring formats", QuantizationError)
def profile_formats(
    model: Any,
    target: Target = "vsq-accel",
    *,
    formats: Sequence[str],
    example_inputs: Any = None,
    quant: Quant = None,
    calibration: Any = None,
    data: Any = None,
    progress: bool = True,
    check_import: bool = True,
) -> PrecisionProfile:
    """Measure how each layer of `model` alone, in each of `formats` (W/A/ws/as), disturbs the results.

    quant: a QuantConfig with all other settings; layers that its rules leave in fp32, or give formats, keep
    them. data: inputs to measure on; the calibration data if None. progress: show a bar.

    The result prints and plots (`.sensitivity`), and chooses a mix of the formats (`.choose`). Energy is
    simulated, layer by layer, on accelerators like `target` that are built for each format. Maximum pools
    and sums go with the layer whose result they read.
    Raises ConfigError for bad formats, and the errors of `compile`.
    """
    _check_flags(check_import=check_import, progress=progress)
    hardware = _resolve_target(target)
    config = QuantConfig.of(quant, hardware)
    calibration = rereadable(_required(calibration))
    with progress_shown(progress):
        canonical = import_checked(model, example_inputs, check_import)
        tested = calibration if data is None else data
        return PrecisionProfile(canonical, formats, config, hardware, calibration, tested)


@phase("tuning", ScheduleError)
def tune(
    model: Any,
    target: Target = "vsq-accel",
    *,
    trials: int = 64,
    example_inputs: Any = None,
    quant: Quant = None,
    database: str | os.PathLike[str] | Database | None = None,
    seed: int = 0,
    report: Callable[[TunedLayer], object] | None = None,
    progress: bool = True,
    check_import: bool = True,
) -> Database:
    """Search the schedules of every distinct layer of `model` for fewer simulated cycles of the whole model,
    and less energy times cycles.

    model, example_inputs, quant: as for `compile`; layers in other formats are other layers, so give what the
    network will be compiled with.
    trials: schedules measured for each layer; candidates that do not fit are never among them.
    database: where to start from. A path is extended if it exists, and written after each layer: what an
    interrupted search has found stays, and the next one goes on from there, as layers that have a record of
    as many trials are not searched again. Any number of processes may tune into one file (`Database.save`).
    seed: of the search, 0 or more.
    report: called after each distinct layer with its cycles, and the model's, with default and with tuned
    schedules (`TunedLayer`). progress: show bars on stderr, if that is a terminal.
    Schedules depend on shapes alone, so no calibration data are needed.

    Returns the database, to be given to `compile(schedules=...)`. Raises the errors of `compile`.
    """
    if type(trials) is not int or trials < 1:
        raise ConfigError(
            f"trials={shown(trials)}: give an integer of at least 1, the schedules measured for each layer"
        )
    if type(seed) is not int or not 0 <= seed < 1 << 31:
        raise ConfigError(f"seed={shown(seed)}: give an integer of at least 0 and below 2^31")
    _check_flags(check_import=check_import, progress=progress)
    hardware = _resolve_target(target)
    start, keep = _open_database(database)
    with progress_shown(progress):
        with compiling:
            quantized = as_quantized(model, example_inputs=example_inputs, quant=quant)
            if quantized is None:
                canonical = run_phases(model, import_phases(example_inputs, check_import))
                config, data = QuantConfig.of(quant, hardware).unfitted(), random_calibration(canonical, seed)
                quantized = run_phases(canonical, quantize_phases(config, hardware, data))
            regions = regions_of(quantized, hardware)
        tuned = tune_layers(
            [layer for region in regions for layer in region_layers(region, hardware)],
            hardware,
            start,
            total=lambda candidate: program_cost(regions, hardware, candidate),
            trials=trials,
            seed=seed,
            report=lambda layer: None if report is None else report(layer),
            keep=keep,
        )
    keep(tuned)
    return tuned


def _resolve_target(target: Target) -> HardwareConfig:
    hardware = load_hardware(target)
    layout_of(hardware)  # refuses a config whose instructions do not fit their words
    return hardware


def _check_flags(**flags: Any) -> None:
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise ConfigError(f"{name} must be True or False, not {value!r}")


def _required(calibration: Any) -> Any:
    if calibration is None:
        raise CalibrationError(
            "calibration data are missing: give calibration= (tvm-vsq: --calibration), some tens of samples"
        )
    return calibration


def _open_database(
    database: str | os.PathLike[str] | Database | None,
) -> tuple[Database, Callable[[Database], None]]:
    if database is None or isinstance(database, Database):
        return database or Database(), lambda _: None
    if not isinstance(database, str | os.PathLike):
        raise ConfigError(f"database must be a Database or a path, not {type(database).__name__}")
    path = check_output(database, error=ScheduleError)
    start = saved = Database.load(path) if path.exists() else Database()

    def keep(current: Database) -> None:
        nonlocal saved
        current.save(path, since=saved)
        saved = current

    return start, keep
