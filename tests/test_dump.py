"""What `dump` writes while a model is compiled, and that it changes nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from tvm.ir import IRModule
from tvm.script import from_source

import tvm_vsq
from tvm_vsq import isa
from tvm_vsq.dump import Dump
from tvm_vsq.errors import InputError

PHASES = ["imported", "prepared", "quantized", "fused", "partitioned", "generated", "lowered"]


class Dumped(NamedTuple):
    """A network compiled with a dump into `folder`, and without one."""

    folder: Path
    exe: Any
    plain: Any
    x: Any


def modules(folder: Path) -> dict[str, str]:
    """The text of each module, by the phase that left it, in the order of the file names."""
    files = sorted(folder.glob("*.py"))
    assert [file.name[:3] for file in files] == [f"{number:02}_" for number in range(1, len(files) + 1)]
    return {file.stem[3:]: file.read_text() for file in files}


def layers(folder: Path, kind: str) -> list[Path]:
    return sorted(folder.glob(f"layers/*.{kind}"))


@pytest.fixture(scope="module")
def dumped(networks, tmp_path_factory) -> Dumped:
    folder = tmp_path_factory.mktemp("dump") / "new"
    model, x = networks.build(networks.ResNet)
    # As the model has it, a layer of 3 channels is scheduled as one of 16.
    quant = tvm_vsq.QuantConfig.parse("4/4/4/4", thin_inputs="model")
    data = networks.samples(networks.ResNet)
    options = {"quant": quant, "example_inputs": (x,), "calibration": data}
    exe = tvm_vsq.compile(model, dump=folder, **options)
    return Dumped(folder, exe, tvm_vsq.compile(model, **options), x)


def test_each_module_is_what_its_phase_leaves(dumped):
    found = modules(dumped.folder)
    assert list(found) == PHASES
    convolutions = [text.count("R.nn.conv2d(") for text in found.values()]
    assert convolutions == [6, 6, 6, 0, 0, 0, 0]
    integer_layers = [len(re.findall(r'Call\(\s*"vsq\.(?:conv2d|dense)"', text)) for text in found.values()]
    assert integer_layers == [0, 0, 0, 7, 7, 0, 0]
    assert ["vsq.dequantize" in text for text in found.values()] == [name == "quantized" for name in found]
    assert ['"Codegen": "vsq_accel"' in text for text in found.values()] == [
        name == "partitioned" for name in found
    ]
    assert ["call_dps_packed" in text for text in found.values()] == [name == "generated" for name in found]
    assert ["R." in text and "T.prim_func" in text for text in found.values()] == [
        name == "lowered" for name in found
    ]


def test_modules_hold_no_large_constants(dumped):
    for name, text in modules(dumped.folder).items():
        assert len(text) < 25_000, name
        assert not re.search(r"\[(-?\d+, ){15,}", text), name


def test_the_instructions_of_all_layers_together_are_the_programs(dumped):
    names = [layer.name for layer in dumped.exe.metadata.layers]
    files = layers(dumped.folder, "instructions.txt")
    assert [file.name.removesuffix(".instructions.txt")[5:] for file in files] == names
    programs: dict[str, dict[int, tuple[str, str]]] = {}
    for name, file in zip(names, files, strict=True):
        title, *lines = file.read_text().splitlines()
        (program,) = re.findall(f"^# layer '{re.escape(name)}' of (region.): .* {len(lines)} of ", title)
        for line in lines:
            text, place = line.split("  # ")
            programs.setdefault(program, {})[int(place)] = (text, name)
    listing = ""
    for program, found in programs.items():
        listing += f"# program {program}: {len(found)} instructions\n"
        listing += "".join(f"{found[place][0]}  # {place} {found[place][1]}\n" for place in range(len(found)))
    assert listing == dumped.exe.disassemble()
    assert all(isa.assemble_all(file.read_text()) for file in files)


@pytest.mark.large
def test_layers_that_are_scheduled_alike_share_their_tensorir(dumped):
    schedules = layers(dumped.folder, "tensorir.py")
    names = [file.name.removesuffix(".tensorir.py")[5:] for file in schedules]
    every = [layer.name for layer in dumped.exe.metadata.layers]
    assert names == [name for name in every if name != "layer1.conv1"]  # which is conv1 again
    for file in layers(dumped.folder, "instructions.txt"):
        own = file.name.replace("instructions.txt", "tensorir.py")
        expected = own if "layer1.conv1" not in own else schedules[0].name
        assert file.read_text().splitlines()[0].endswith(f"from layers/{expected}")
    for file in schedules:
        text = file.read_text()
        assert {"main"} == {variable.name_hint for variable in from_source(text).functions}
        has_weights = "avg_pool2d" not in file.name
        assert ('scope="local.wgt"' in text) == has_weights
        assert ("vsq.gemm" if has_weights else "vsq.vec_add") in text


def test_the_index_says_what_every_file_is(dumped):
    lines = (dumped.folder / "index.txt").read_text().splitlines()
    files = [file for file in dumped.folder.rglob("*") if file.is_file() and file.name != "index.txt"]
    assert sorted(lines[::2]) == sorted(str(file.relative_to(dumped.folder)) for file in files)
    for name, what in zip(lines[::2], lines[1::2], strict=True):
        assert (dumped.folder / name).read_text().startswith(f"# {what.strip()}\n")


def test_nothing_that_is_computed_changes(dumped):
    assert dumped.exe.disassemble() == dumped.plain.disassemble()
    assert dumped.exe.metadata == dumped.plain.metadata
    assert np.array_equal(dumped.exe(dumped.x), dumped.plain(dumped.x))


def test_without_a_dump_nothing_is_written(networks, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model, x = networks.build(networks.PlainNet)
    tvm_vsq.compile(model, example_inputs=(x,), calibration=networks.samples(networks.PlainNet))
    assert list(tmp_path.iterdir()) == []


def test_quantizing_shows_its_part_and_compiling_a_quantized_module_the_rest(networks, tmp_path):
    model, x = networks.build(networks.PlainNet)
    options = {"example_inputs": (x,), "calibration": networks.samples(networks.PlainNet)}
    quantized = tvm_vsq.quantize_model(model, dump=tmp_path / "one", **options)
    tvm_vsq.compile(quantized, dump=tmp_path / "two")
    first, second = modules(tmp_path / "one"), modules(tmp_path / "two")
    assert list(first) == [name for name in PHASES if name in first and name != "fused"]
    assert list(first)[-1] == "quantized"
    assert list(second) == PHASES[PHASES.index("quantized") :]
    body = [text.split("\n", 1)[1] for text in (first["quantized"], second["quantized"])]
    assert body[0] == body[1]


@pytest.mark.parametrize("name", ["../../out", "a/b.c", "/root/x", "ä ö", "n" * 300, "two\nlines"])
def test_any_name_of_a_layer_makes_files_inside_the_folder(onnx_models, tmp_path, name):
    weight = np.random.default_rng(0).standard_normal((20, 6), np.float32)
    node = onnx_models.node("MatMul", ["x", name], "y")
    model = onnx_models.model([node], {name: weight}, [2, 20])
    samples = np.random.default_rng(1).standard_normal((16, 20), np.float32)
    exe = tvm_vsq.compile(model, calibration=samples, dump=tmp_path / "dump")
    (layer,) = (layer.name for layer in exe.metadata.layers)
    assert layer[:50] == name[:50]
    (file,) = layers(tmp_path / "dump", "instructions.txt")
    assert [file.name[:5], file.parent] == ["0000_", tmp_path / "dump" / "layers"]
    assert f"layer {layer!r} of region0" in (tmp_path / "dump" / "index.txt").read_text()
    assert len(isa.assemble_all(file.read_text())) == exe.disassemble().count("  # ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dump"]


def test_a_phase_that_fails_leaves_what_was_done_before(networks, tmp_path, monkeypatch):
    def fail(*_arguments: Any) -> None:
        raise RuntimeError("inside")

    monkeypatch.setattr("tvm_vsq.generate.lower_region", fail)
    model, x = networks.build(networks.Mlp)
    with pytest.raises(tvm_vsq.VsqError, match="inside"):
        tvm_vsq.compile(
            model, example_inputs=(x,), calibration=networks.samples(networks.Mlp), dump=tmp_path / "dump"
        )
    assert list(modules(tmp_path / "dump"))[-1] == "partitioned"
    assert "_partitioned.py\n" in (tmp_path / "dump" / "index.txt").read_text()


@pytest.mark.parametrize("function", [tvm_vsq.compile, tvm_vsq.quantize_model])
def test_a_folder_that_cannot_be_written_into_is_refused_before_the_work(function, tmp_path):
    (tmp_path / "old").write_text("")
    with pytest.raises(InputError, match=r"cannot write into '.*': it is not empty; give a new folder"):
        function(None, dump=tmp_path)


def test_a_folder_that_goes_away_meanwhile_is_named(tmp_path):
    dump = Dump(tmp_path / "dump")
    (tmp_path / "dump").write_text("")
    with pytest.raises(InputError, match=r"cannot write '.*01_fused\.py': "):
        dump.module("fused", "", IRModule())
