"""The command line: what it prints, what it writes, and how it fails."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import pytest
import torch
import yaml

import tvm_vsq
from tvm_vsq import cli, isa
from tvm_vsq.hardware import list_targets, list_technologies, load_hardware, load_technology
from tvm_vsq.schedule import Database


class Result(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(capfd, monkeypatch):
    """Run the command line as its entry point does, in this process."""

    def command(*arguments: Any) -> Result:
        monkeypatch.setattr(sys, "argv", ["tvm-vsq", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main()
        return Result(int(end.value.code or 0), *capfd.readouterr())

    return command


@pytest.fixture(scope="module")
def files(networks, tmp_path_factory) -> Path:
    """A folder with model.pt2, samples.npy, x.npy and model.so."""
    folder = tmp_path_factory.mktemp("cli")
    model, x = networks.build(networks.PlainNet)
    torch.export.save(torch.export.export(model, (x,)), folder / "model.pt2")
    np.save(folder / "samples.npy", networks.samples(networks.PlainNet))
    np.save(folder / "x.npy", x.numpy())
    program = torch.export.load(folder / "model.pt2")
    tvm_vsq.compile(program, calibration=np.load(folder / "samples.npy")).save(folder / "model.so")
    return folder


@pytest.fixture
def dynamic(onnx_models, tmp_path) -> tuple[Path, ...]:
    """An ONNX file whose first axis is dynamic, and what calibrates it, as words of a command line."""
    weight = np.random.default_rng(0).standard_normal((20, 6), np.float32)
    model = onnx_models.model([onnx_models.node("MatMul", ["x", "w"], "y")], {"w": weight}, ["batch", 20])
    onnx.save(model, tmp_path / "net.onnx")
    np.save(tmp_path / "samples.npy", np.random.default_rng(1).standard_normal((4, 20), np.float32))
    return tmp_path / "net.onnx", "--calibration", tmp_path / "samples.npy"


def test_version(run):
    result = run("--version")
    assert (result.code, result.out.strip()) == (0, version("tvm-vsq"))


def test_a_warning_is_one_line(run, files, tmp_path):
    others = Path(tvm_vsq.__file__).parent / "schedules/vsq-accel-int8.json"
    data = "--calibration", files / "samples.npy", "--schedules", others
    result = run("compile", files / "model.pt2", *data, "-o", tmp_path / "a.so")
    assert result.code == 0
    (line,) = result.err.splitlines()
    assert line.startswith("warning: ")
    assert ".py" not in line


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("compile --target vsq", ["vsq-accel", "vsq-accel-int8", "vsq-accel-w4a8"]),
        ("target show m", ["mine.yaml"]),
        ("rtl none/m", []),
        ("profile a.so --technology jou", ["jouppi-7nm"]),
        ("profile a.so --dram hb", ["hbm2"]),
        ("tar", ["target"]),
    ],
)
def test_a_shell_completes_what_the_package_knows(run, tmp_path, monkeypatch, words, expected):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").touch()
    monkeypatch.setenv("_TVM_VSQ_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", f"tvm-vsq {words}")
    monkeypatch.setenv("COMP_CWORD", str(len(words.split())))
    assert run().out.split() == expected


def test_strict_refuses_what_would_run_on_the_cpu(run, onnx_models, tmp_path):
    weights = np.random.default_rng(0).standard_normal((2, 20, 20), np.float32)
    nodes = [
        onnx_models.node("MatMul", ["x", "w"], "a"),
        onnx_models.node("Sin", ["a"], "b"),
        onnx_models.node("MatMul", ["b", "v"], "y"),
    ]
    model = onnx_models.model(nodes, {"w": weights[0], "v": weights[1]}, [4, 20])
    onnx.save(model, tmp_path / "net.onnx")
    np.save(tmp_path / "samples.npy", np.random.default_rng(1).standard_normal((16, 20), np.float32))
    words = [
        "compile",
        tmp_path / "net.onnx",
        "--calibration",
        tmp_path / "samples.npy",
        "-o",
        tmp_path / "a.so",
    ]
    assert run(*words).code == 0
    result = run(*words, "--strict")
    assert result.code == 1
    assert "relax.sin behind layer 'w': no accelerator form" in result.err


def test_compile_reads_onnx_and_takes_its_shape(run, dynamic, tmp_path):
    words = ["compile", *dynamic, "-o", tmp_path / "net.so"]
    result = run(*words)
    assert (result.code, "dynamic shape [batch, 20]" in result.err, "--shape" in result.err) == (
        1,
        True,
        True,
    )
    result = run(*words, "--shape", "2-20")
    assert (result.code, "--shape '2-20' is not understood: write 1x3x32x32" in result.err) == (1, True)
    result = run(*words, "--shape", "2x20", "--json")
    assert result.code == 0, result.err
    assert tvm_vsq.load(tmp_path / "net.so").metadata.inputs[0].shape == (2, 20)


@pytest.mark.parametrize(
    "words",
    [("report",), ("mix", "--formats", "4/4/4/4,8/8/-/-", "--max-energy-ratio", "1")],
    ids=["report", "mix"],
)
def test_studies_take_the_shape_of_a_dynamic_input(run, dynamic, words):
    command, *options = words
    refused = run(command, *dynamic, *options)
    assert (refused.code, "--shape" in refused.err) == (1, True)
    result = run(command, *dynamic, *options, "--shape", "2x20", "--json")
    assert result.code == 0, result.err
    assert json.loads(result.out)


def test_compile_writes_an_artifact(run, files, tmp_path):
    output = tmp_path / "new.so"
    result = run(
        "compile", files / "model.pt2", "--calibration", files / "samples.npy", "-o", output, "--json"
    )
    assert result.code == 0, result.err
    assert json.loads(result.out) == {
        "output": str(output),
        "target": "vsq-accel",
        "quant": "4/4/4/4",
        "layers": 3,
    }
    x = np.load(files / "x.npy")
    assert np.array_equal(tvm_vsq.load(output)(x), tvm_vsq.load(files / "model.so")(x))


def test_compile_dumps_what_it_does(run, files, tmp_path):
    words = ["compile", files / "model.pt2", "--calibration", files / "samples.npy", "-o", tmp_path / "a.so"]
    result = run(*words, "--dump", tmp_path / "dump")
    assert result.code == 0, result.err
    index = (tmp_path / "dump" / "index.txt").read_text()
    assert all(f"layer '{name}' of region0" in index for name in "abc")
    (tmp_path / "a.so").unlink()
    again = run("compile", "no model", *words[2:], "--dump", tmp_path / "dump")
    assert (again.code, "is not empty; give a new folder" in again.err) == (1, True)


def test_compile_takes_a_relax_module_a_target_and_two_inputs(run, tmp_path):
    import tvm

    from tvm_vsq.frontend import import_model

    class Two(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = torch.nn.Linear(16, 8)

        def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            return self.fc(a) + b

    a, b = torch.randn(2, 16), torch.randn(2, 8)
    (tmp_path / "two.json").write_text(tvm.ir.save_json(import_model(Two().eval(), (a, b))), encoding="utf-8")
    samples = {"b": torch.randn(6, 8).numpy(), "a": torch.randn(6, 16).numpy()}
    np.savez(tmp_path / "two.npz", **samples)  # in any order
    arguments = ["--calibration", tmp_path / "two.npz", "-o", tmp_path / "two.so"]
    result = run("compile", tmp_path / "two.json", *arguments, "--target", "vsq-accel-int8")
    assert result.code == 0, result.err
    assert "1 layers on vsq-accel-int8 8/8/-/-" in result.out
    np.savez(tmp_path / "unnamed.npz", a.numpy(), b.numpy())
    np.savez(tmp_path / "named.npz", b=b.numpy(), a=a.numpy())
    by_place, by_name = (
        run("profile", tmp_path / "two.so", "--input", tmp_path / f"{name}.npz", "--json")
        for name in ("unnamed", "named")
    )
    assert by_place.code == 0, by_place.err
    assert by_name.out == by_place.out
    np.savez(tmp_path / "one.npz", a=a.numpy())
    assert "lacks 'b'" in run("profile", tmp_path / "two.so", "--input", tmp_path / "one.npz").err
    np.savez(tmp_path / "other.npz", a=a.numpy(), c=b.numpy())
    result = run("profile", tmp_path / "two.so", "--input", tmp_path / "other.npz")
    assert result.code != 0
    assert "lacks 'b' and holds 'c'" in result.err


def test_profile_prints_a_table_or_json_and_writes_a_page(run, files, tmp_path):
    page = tmp_path / "profile.html"
    result = run("profile", files / "model.so", "--input", files / "x.npy", "--html", page, "--json")
    assert result.code == 0, result.err
    expected = tvm_vsq.load(files / "model.so").profile(np.load(files / "x.npy"))
    assert json.loads(result.out) == json.loads(expected.to_json())
    assert page.is_file()
    table = run("profile", files / "model.so")
    assert table.code == 0
    assert "critical path" not in table.out
    timeline = tmp_path / "t.json"
    why = run("profile", files / "model.so", "--why", "--trace", timeline)
    assert "critical path" in why.out
    assert json.loads(timeline.read_text())["traceEvents"]
    rows = json.loads(run("profile", files / "model.so", "--why", "--json").out)["why"]
    assert [row["layer"] for row in rows] == [layer.name for layer in expected.layers]
    assert f"{expected.cycles:,}" in table.out  # cycles do not depend on the input


def test_compare_puts_artifacts_side_by_side(run, files, tmp_path):
    shutil.copy(files / "model.so", tmp_path / "copy.so")
    data = json.loads(run("compare", files / "model.so", tmp_path / "copy.so", "--json").out)
    cycles = tvm_vsq.load(files / "model.so").timing().cycles
    assert data["totals"]["cycles"] == {"model": cycles, "copy": cycles}
    text = run("compare", files / "model.so", tmp_path / "copy.so").out
    assert f"'copy' takes as many cycles as 'model', {cycles:,}" in " ".join(text.split())


def test_compare_compiles_a_model_for_each_target(run, files):
    page = files / "compare.html"
    options = ("--model", files / "model.pt2", "--calibration", files / "samples.npy", "--wide")
    text = run("compare", "vsq-accel", "vsq-accel-int8", *options, "--html", page).out
    assert "What makes the difference" in page.read_text()
    refused = run("compare", "vsq-accel", "vsq-accel-int8", "--html", page)
    assert "--html is of inferences" in refused.err
    assert "A: vsq-accel, vsq-accel 4/4/4/4" in text
    assert "│ weight_bits           │ 4 │ 8 │" in text
    assert "shows also" not in text


def test_compare_refuses_what_it_cannot_compare(run, files):
    fields = json.loads(run("compare", "vsq-accel", "vsq-accel-int8", "--json").out)["fields_that_differ"]
    assert "weight_bits" in fields
    assert "not both" in run("compare", files / "model.so", "vsq-accel").err
    artifact = run("compare", files / "model.so", "vsq-accel", "--model", files / "model.pt2")
    assert (artifact.code, "is an artifact: --model is compiled for targets" in artifact.err) == (1, True)


@pytest.mark.parametrize(
    "option",
    [
        ("--calibration", "x.npy"),
        ("--quant", "4/4/4/4"),
        ("--schedules", "auto"),
        ("--shape", "1x2"),
        ("--no-check-import",),
    ],
    ids=lambda option: option[0],
)
def test_compare_refuses_what_only_a_model_has(run, option):
    refused = run("compare", "vsq-accel", "vsq-accel-int8", *option)
    assert refused.code == 2
    assert f"{option[0].replace('no-', '')}: give --model, too" in refused.err


def test_wide_shows_all_columns(run, files):
    assert "shows also" in run("profile", files / "model.so").out
    assert "shows also" not in run("profile", files / "model.so", "--wide").out


def test_explain_lists_operators(run, files):
    rows = json.loads(run("explain", files / "model.so", "--json").out)
    assert [row["layer"] for row in rows if row["where"] == "accelerator"] == ["a", "b", "c"]
    assert "│ conv2d " in run("explain", files / "model.so").out


def test_disasm_prints_instructions(run, files):
    exe = tvm_vsq.load(files / "model.so")
    text = exe.disassemble()
    assert run("disasm", files / "model.so").out == text
    rows = json.loads(run("disasm", files / "model.so", "--json").out)
    assert rows == exe.instructions()
    listed = [line for line in text.splitlines() if not line.startswith("# program")]
    for row, line in zip(rows, listed, strict=True):
        (insn,) = isa.assemble_all(line)
        assert (row["opcode"], set(row["tokens"])) == (insn.name, insn.tokens)
        assert line.endswith(f"# {row['index']} {row['layer']}")
        assert row["program"] == "region0"
        assert all(f"{key}={row['fields'][key]}" in line or key == "mem" for key in insn.fields)
    loads = [row for row in rows if row["opcode"] == "LOAD"]
    assert {row["fields"]["mem"] for row in loads} >= {"inp", "wgt", "uop", "par"}


def test_tune_writes_and_extends_a_database_that_compile_takes(run, files, tmp_path):
    database = tmp_path / "tuned.json"
    arguments = ["tune", files / "model.pt2", "-o", database, "--trials", "2"]
    result = run(*arguments, "--json")
    assert result.code == 0, result.err
    found = json.loads(result.out)
    assert [layer["layers"] for layer in found["layers"]] == [["b"], ["a"], ["c"]]  # longest first
    records = {record.workload: record for record in Database.load(database).records}
    for layer in found["layers"]:
        record = records[layer["workload"]]
        assert (layer["cycles"], layer["default_cycles"]) == (record.cycles, record.default_cycles)
    program = torch.export.load(files / "model.pt2")
    arguments_of_both = {"calibration": np.load(files / "samples.npy"), "check_import": False}
    for key, schedules in (("default_cycles", "default"), ("cycles", database)):
        exe = tvm_vsq.compile(program, schedules=schedules, **arguments_of_both)
        assert found[key] == exe.timing().cycles
    again = run(*arguments)
    assert again.code == 0
    assert f"wrote {database}" in again.out
    assert "the model" in again.out
    assert f"{found['default_cycles']:,}" in again.out
    assert again.err == ""  # no bars for a log
    output = tmp_path / "tuned.so"
    arguments = ["--calibration", files / "samples.npy", "-o", output, "--schedules", database]
    assert run("compile", files / "model.pt2", *arguments).code == 0
    assert all(layer.tuned for layer in tvm_vsq.load(output).metadata.layers)


def test_profile_takes_other_tables_and_shows_all_of_them(run, files):
    profile = tvm_vsq.load(files / "model.so").timing()
    other = run(
        "profile", files / "model.so", "--technology", "jouppi-7nm", "--dram", "lpddr4-3200", "--json"
    )
    found = json.loads(other.out)
    assert found["technology"] == "jouppi-7nm_lpddr4-3200"
    assert found["energy_pj"] == profile.with_technology("jouppi-7nm", dram="lpddr4-3200").energy_pj
    shown = json.loads(run("profile", files / "model.so", "--tables", "--json").out)["tables"]
    assert {name: row["vsq-accel"] for name, row in shown.items()} == {
        name: profile.with_technology(name).energy_pj for name in list_technologies()
    }
    alone = run("profile", files / "model.so", "--tables").out
    assert "order" not in alone.partition("energy, uJ")[2]
    assert "unknown DRAM 'sram'" in run("profile", files / "model.so", "--dram", "sram").err


def test_tables_have_the_dram_and_the_technology_that_were_asked_for(run, files, tmp_path):
    profile = tvm_vsq.load(files / "model.so").timing()
    mine = load_technology("open-45nm").model_dump(mode="json", exclude_none=True)
    mine["name"], mine["integer_add"]["points"][-1]["pj"] = "mine", 5.0
    (tmp_path / "mine.yaml").write_text(json.dumps(mine))
    options = ["--technology", tmp_path / "mine.yaml", "--dram", "hbm2", "--tables"]
    shown = json.loads(run("profile", files / "model.so", *options, "--json").out)["tables"]
    assert set(shown) == {f"{name}_hbm2" for name in (*list_technologies(), "mine")}
    expected = profile.with_technology(tmp_path / "mine.yaml", "hbm2").energy_pj
    assert shown["mine_hbm2"] == {"vsq-accel": expected}


def test_tables_compare_artifacts(run, files, tmp_path):
    other = tmp_path / "other.so"
    other.write_bytes((files / "model.so").read_bytes())
    found = run("profile", files / "model.so", "--tables", "--against", other)
    assert found.code == 0, found.err
    assert "other.so 1.00 to 1.00; the order is the same in all" in " ".join(found.out.split())
    refused = run("profile", files / "model.so", "--against", other)
    assert refused.code != 0
    assert "--tables" in refused.err


def test_target_show_has_the_area_and_what_the_target_can_do(run, tmp_path):
    shown = json.loads(run("target", "show", "vsq-accel", "--json").out)
    area = load_hardware("vsq-accel").area()
    assert shown["area_mm2"]["total"] == pytest.approx(area.mm2, rel=1e-3)
    assert shown["area_mm2"]["scratchpads"] == pytest.approx(area.by_group()["scratchpads"], rel=1e-3)
    # 256 multiply-accumulates at 500 MHz
    assert shown["peak"]["tops"] == 0.256
    assert shown["peak"]["tops_per_mm2"] == pytest.approx(0.256 / area.mm2, rel=1e-3)
    smaller = json.loads(run("target", "show", "vsq-accel", "--technology", "jouppi-7nm", "--json").out)
    assert smaller["area_technology"] == "jouppi-7nm"
    assert smaller["area_mm2"]["total"] < shown["area_mm2"]["total"]
    fields = load_hardware("vsq-accel").model_dump()
    fields["timing"]["ppu_pipeline_cycles"] = 2
    path = tmp_path / "short.yaml"
    path.write_text(yaml.safe_dump(fields))
    short = json.loads(run("target", "show", path, "--json").out)
    assert short["area_mm2"] is None
    assert "timing.ppu_pipeline_cycles=2 is too short" in short["area_note"]


def test_target_list_and_show(run):
    names = [row["name"] for row in json.loads(run("target", "list", "--json").out)]
    assert {"vsq-accel", "vsq-accel-int8", "vsq-accel-w4a8"} <= set(names)
    assert all(name in run("target", "list").out for name in names)
    shown = json.loads(run("target", "show", "vsq-accel", "--json").out)
    assert shown["weight_bits"] == 4
    assert shown["derived"]["depths"]["wgt"] > 0


@pytest.mark.parametrize("name", list_targets())
def test_what_target_show_prints_is_a_target_that_can_be_edited(run, tmp_path, name):
    result = run("target", "show", name)
    assert result.code == 0, result.err
    assert max(map(len, result.out.splitlines())) <= 80
    (tmp_path / "mine.yaml").write_text(result.out, encoding="utf-8")
    assert load_hardware(tmp_path / "mine.yaml") == load_hardware(name)
    assert yaml.safe_load(result.out) == load_hardware(name).model_dump()  # with every field, and no other
    assert all(
        f"#     {memory}: {depth}" in result.out for memory, depth in load_hardware(name).depths.items()
    )
    edited = result.out.replace(f"name: {name}", "name: mine").replace("output_lanes: 16", "output_lanes: 32")
    (tmp_path / "mine.yaml").write_text(edited, encoding="utf-8")
    assert load_hardware(tmp_path / "mine.yaml") == load_hardware(name).with_(name="mine", output_lanes=32)
    again = run("target", "show", tmp_path / "mine.yaml")
    assert yaml.safe_load(again.out)["output_lanes"] == 32
    assert "# area_mm2:" in again.out


def test_python_m_runs_the_command_line_and_torch_says_nothing_of_its_own(tmp_path):
    with zipfile.ZipFile(tmp_path / "other.pt2", "w") as archive:
        archive.writestr("other/archive_format", "of another tool")
    np.save(tmp_path / "zeros.npy", np.zeros((1, 1), np.float32))
    words = ["compile", "other.pt2", "--calibration", "zeros.npy", "-o", "unused.so"]
    command = [sys.executable, "-m", "tvm_vsq", *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(
        "error: 'other.pt2' is not a torch.export archive; write it with torch.export.save"
    )


def _compile(**wrong: str) -> list[str]:
    options = {"model": "model.pt2", "--calibration": "samples.npy", "-o": "unused.so", **wrong}
    return ["compile", options.pop("model"), *(text for pair in options.items() for text in pair)]


def _write_junk() -> None:
    """Files that are not what their names say, into the present folder."""
    for name in ("empty.pt2", "empty.onnx", "empty.npy"):
        Path(name).touch()
    for name in ("folder.pt2", "folder.onnx", "folder.npy"):
        Path(name).mkdir(exist_ok=True)
    torch.save({"weight": torch.zeros(2)}, "checkpoint.pt2")
    with zipfile.ZipFile("model.pt2") as good, zipfile.ZipFile("broken.pt2", "w") as broken:
        for name in good.namelist():
            broken.writestr(name, b"{}" if name.endswith(".json") else good.read(name))
    with zipfile.ZipFile("text.npz", "w") as archive:
        archive.writestr("a.txt", "text")
    np.savez("empty.npz")
    np.save("objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    header = {"descr": "<f4", "fortran_order": False, "shape": (999_999, 999_999, 99)}
    with Path("huge.npy").open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, header)
    Path("junk.onnx").write_text("junk", encoding="utf-8")
    Path("deep.json").write_text("[" * 100_000, encoding="utf-8")
    Path("list.json").write_text("[]", encoding="utf-8")
    Path("object.json").write_text("{}", encoding="utf-8")
    circle = {"root_index": 0, "nodes": [{"type": "ir.IRModule", "data": {"functions": 0}}]}
    Path("circle.json").write_text(json.dumps(circle), encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (_compile(model="none.pt2"), "there is no model file 'none.pt2'"),
        (_compile(model="x.npy"), "cannot read 'x.npy': the suffix must be .pt2"),
        (_compile(model="junk.pt2"), "'junk.pt2' is not a torch.export archive"),
        (_compile(model="junk.json"), "'junk.json' is not a TVM module in JSON"),
        (_compile(**{"--calibration": "none.npy"}), "there is no array file 'none.npy'"),
        (_compile(**{"--calibration": "junk.json"}), "'junk.json' is not a .npy or .npz file"),
        (_compile(**{"--calibration": "wide.npy"}), "expected [n, 16, 6, 6]"),
        (_compile(**{"--target": "tpu"}), "unknown target 'tpu'"),
        (_compile(**{"--quant": "4/4"}), "quant '4/4' is not understood: write W/A/ws/as"),
        (_compile(**{"--schedules": "none.json"}), "there is no schedule database 'none.json'"),
        (_compile(**{"-o": "folder/unused.so"}), "folder 'folder' does not exist"),
        (_compile(**{"-o": "unused.bin"}), "the file name must end in .so"),
        (["profile", "none.so"], "cannot load 'none.so': there is no such file"),
        (["profile", "model.so", "--input", "wide.npy"], "'x' must have shape (1, 16, 6, 6)"),
        (["profile", "model.so", "--html", "folder/page.html"], "folder/page.html"),
        (["explain", "junk.so"], "cannot load 'junk.so'"),
        (["disasm", "none.so"], "cannot load 'none.so'"),
        (["tune", "none.pt2", "-o", "tuned.json"], "there is no model file 'none.pt2'"),
        (["tune", "model.pt2", "-o", "junk.json"], "schedules in 'junk.json'"),
        (["target", "show", "[/tpu]"], "unknown target '[/tpu]'"),
        (["target", "show", "n" * 300], "unknown target 'nnn"),
        (["target", "show", "\udcff"], "unknown target '\\udcff'"),
        (_compile(model="n" * 300 + ".pt2"), "there is no model file 'nnn"),
        (_compile(model="empty.pt2"), "not a torch.export archive; write it with torch.export.save (BadZip"),
        (_compile(model="checkpoint.pt2"), "an archive of something else, as torch.save writes"),
        (_compile(model="broken.pt2"), "'broken.pt2' is not a torch.export archive"),
        (_compile(model="folder.pt2"), "cannot read 'folder.pt2': it is a folder"),
        (_compile(model="folder.onnx"), "cannot read 'folder.onnx': it is a folder"),
        (_compile(model="junk.onnx"), "'junk.onnx' is not an ONNX model"),
        (_compile(model="empty.onnx"), "empty.onnx"),
        (_compile(model="deep.json"), "'deep.json' is not a TVM module in JSON"),
        (_compile(model="circle.json"), "'circle.json' is not a TVM module in JSON"),
        (_compile(model="list.json"), "'list.json' is not a TVM module in JSON"),
        (_compile(**{"--calibration": "empty.npy"}), "'empty.npy' is not a .npy or .npz file"),
        (_compile(**{"--calibration": "objects.npy"}), "'objects.npy' is not a .npy or .npz file"),
        (_compile(**{"--calibration": "huge.npy"}), "'huge.npy' is not a .npy or .npz file"),
        (_compile(**{"--calibration": "text.npz"}), "'text.npz' is not a .npy or .npz file"),
        (_compile(**{"--calibration": "empty.npz"}), "'empty.npz' is not a .npy or .npz file"),
        (_compile(**{"--calibration": "folder.npy"}), "cannot read 'folder.npy': it is a folder"),
        (_compile(**{"--shape": "999999x999999x99"}), "at most 16 axes and 268,435,456 elements"),
        (_compile(**{"--shape": "9" * 5000}), "is not understood: write 1x3x32x32"),
        (
            _compile(**{"--shape": "1x3x6x6"}),
            "shape [1, 3, 6, 6], and input 'x' was exported for [1, 16, 6, 6]",
        ),
        (
            ["tune", "list.json", "-o", "t.json", "--shape", "1x3"],
            "--shape '1x3': a Relax module (.json) has",
        ),
        (_compile(**{"--shape": "0x3"}), "--shape '0x3': each extent must be at least 1"),
        (_compile(**{"--quant": "4/4/4/" + "9" * 5000}), "is not understood: write W/A/ws/as"),
        (_compile(**{"--quant": "n" * 300 + ".json"}), "cannot read the quantization config 'nnn"),
        (_compile(**{"--schedules": "deep.json"}), "schedules in 'deep.json', tune again: nested too deeply"),
        (_compile(**{"--schedules": "object.json"}), "must be a JSON object with version and records"),
        (["tune", "model.pt2", "-o", "tuned.json", "--seed", "-1"], "seed=-1: give an integer"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_errors_are_one_message_and_exit_code_1(run, files, monkeypatch, arguments, message):
    monkeypatch.chdir(files)
    for name in ("junk.pt2", "junk.json", "junk.so"):
        Path(name).write_text("junk", encoding="utf-8")
    np.save("wide.npy", np.zeros((1, 32, 6, 6), np.float32))
    _write_junk()
    result = run(*arguments)
    assert result.code == 1
    assert result.out == ""
    (line,) = result.err.splitlines()  # torch and TVM say nothing of their own
    assert line.startswith("error: ")
    assert message in line
    assert len(line) < 700


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compile", "m.pt2", "--calibration", "c", "-o", "x.txt"], "the file name must end in .so"),
        (["compile", "m.pt2", "--calibration", "c", "-o", "folder.so"], "it is a folder"),
        (["compile", "m.pt2", "--calibration", "c", "-o", "nope/x.so"], "folder 'nope' does not exist"),
        (["tune", "m.pt2", "-o", "nope/d.json"], "folder 'nope' does not exist"),
        (["tune", "m.pt2", "-o", "folder.so"], "it is a folder"),
        (["report", "m.pt2", "--calibration", "c", "--plot", "p.txt"], "must end in .png or .svg or .pdf"),
        (["report", "m.pt2", "--calibration", "c", "--plot", "nope/p.png"], "folder 'nope' does not exist"),
        (["mix", "m.pt2", "--calibration", "c", "--formats", "4/4/4/4", "-o", "folder.so"], "it is a folder"),
        (["mix", "m.pt2", "--calibration", "c", "--formats", "4/4/4/4", "--plot", "p"], "must end in .png"),
        (["profile", "m.so", "--html", "folder.so"], "it is a folder"),
        (["profile", "m.so", "--trace", "nope/t.json"], "folder 'nope' does not exist"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_output_is_refused_before_anything_is_read(run, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    Path("folder.so").mkdir()
    result = run(*arguments)  # there is no model
    assert result.code == 1
    assert result.err.startswith("error: cannot write ")
    assert message in result.err


@pytest.mark.parametrize("arguments", [["compile"], ["tune", "m.pt2", "-o", "d", "--trials", "0"], ["fly"]])
def test_wrong_usage_is_exit_code_2(run, arguments):
    result = run(*arguments)
    assert result.code == 2
    assert "Traceback" not in result.err


def test_report_prints_a_row_for_each_layer(run, files, tmp_path):
    arguments = ("report", files / "model.pt2", "--calibration", files / "samples.npy", "--quant", "6/6/4/4")
    text = run(*arguments, "--plot", tmp_path / "r.png")
    assert text.code == 0, text.err
    assert "6/6/4/4" in text.out
    assert (tmp_path / "r.png").is_file()
    found = json.loads(run(*arguments, "--json").out)
    assert [layer["formats"] for layer in found["layers"]] == ["6/6/4/4"] * 3


def test_report_compares_on_the_data_that_it_is_given(run, files, tmp_path):
    config = tvm_vsq.QuantConfig.parse("8/8/-/-").unfitted()
    (tmp_path / "quick.json").write_text(config.to_json(), encoding="utf-8")
    calibration = np.load(files / "samples.npy")
    other = (3 * calibration[:2]).astype(np.float32)
    np.save(tmp_path / "other.npy", other)
    words = ("report", files / "model.pt2", "--calibration", files / "samples.npy", "--quant")
    words = (*words, tmp_path / "quick.json", "--json")
    program = torch.export.load(files / "model.pt2")
    for arguments, data in (((), calibration), (("--data", tmp_path / "other.npy"), other)):
        expected = tvm_vsq.quantization_report(program, quant=config, calibration=calibration, data=data)
        assert json.loads(run(*words, *arguments).out) == json.loads(expected.to_json())


@pytest.mark.parametrize("seed", [0, 7])
def test_tune_searches_with_the_seed_and_trials_that_it_is_given(run, files, tmp_path, monkeypatch, seed):
    given: dict[str, Any] = {}

    def tune(_model: Any, target: Any, **arguments: Any) -> Database:
        given.update(arguments, target=target)
        return Database()

    monkeypatch.setattr(tvm_vsq, "tune", tune)
    words = ("tune", files / "model.pt2", "-o", tmp_path / "d.json", "--target", "vsq-accel-int8")
    result = run(*words, "--trials", "5", *(("--seed", seed) if seed else ()))
    assert result.code == 0, result.err
    expected = {"seed": seed, "trials": 5, "target": "vsq-accel-int8", "database": tmp_path / "d.json"}
    assert {name: given[name] for name in expected} == expected


@pytest.mark.parametrize("name", ["compile", "quantization_report", "choose_formats", "tune"])
@pytest.mark.parametrize("checks", [True, False])
def test_commands_that_import_say_whether_to_check(run, files, tmp_path, monkeypatch, name, checks):
    given: dict[str, Any] = {}

    def stop(*_arguments: Any, **options: Any) -> None:
        given.update(options)
        raise tvm_vsq.VsqError("far enough")

    monkeypatch.setattr(tvm_vsq, name, stop)
    command = {"quantization_report": "report", "choose_formats": "mix"}.get(name, name)
    words = [command, files / "model.pt2", *(() if checks else ("--no-check-import",))]
    words += [] if command == "tune" else ["--calibration", files / "samples.npy"]
    words += ["--formats", "4/4/4/4"] if command == "mix" else []
    words += (
        ["-o", tmp_path / f"out{'.so' if command == 'compile' else '.json'}"] if command != "report" else []
    )
    assert "far enough" in run(*words).err
    assert given["check_import"] is checks


def test_mix_writes_a_config_that_report_takes(run, files, tmp_path):
    config = tmp_path / "mix.json"
    chosen = run(
        *("mix", files / "model.pt2", "--calibration", files / "samples.npy"),
        *("--formats", "4/4/4/4,8/8/-/-", "--max-energy-ratio", "0.85", "-o", config, "--json"),
    )
    assert chosen.code == 0, chosen.err
    found = json.loads(chosen.out)
    formats = found["formats"]
    expected = tvm_vsq.choose_formats(
        torch.export.load(files / "model.pt2"),
        formats=("4/4/4/4", "8/8/-/-"),
        calibration=np.load(files / "samples.npy"),
        max_energy_ratio=0.85,
        progress=False,
    )
    assert (formats, found["energy_ratio"]) == (expected.formats, expected.energy_ratio)
    assert expected.energy_ratio <= 0.85
    assert len(set(formats.values())) == 2
    assert tvm_vsq.QuantConfig.from_json(config.read_text()) == expected.config
    calibration = ("--calibration", files / "samples.npy")
    report = run("report", files / "model.pt2", *calibration, "--quant", config, "--json")
    assert report.code == 0, report.err
    assert {layer["name"]: layer["formats"] for layer in json.loads(report.out)["layers"]} == formats


def test_mix_without_an_aim_and_a_config_that_is_none_are_refused(run, files, tmp_path):
    arguments = ("mix", files / "model.pt2", "--calibration", files / "samples.npy")
    result = run(*arguments, "--formats", "4/4/4/4,8/8/-/-")
    assert result.code == 1
    assert "target_sqnr_db" in result.err
    (tmp_path / "bad.json").write_text("{}")
    result = run(*arguments, "--formats", "4/4/4/4,8/8/-/-", "--quant", tmp_path / "bad.json")
    assert result.code == 1
    assert "version" in result.err
    result = run(*arguments, "--formats", "4/4/4/4,8/8/-/-", "--quant", tmp_path / "none.json")
    assert result.code == 1
    assert "cannot read the quantization config" in result.err


@pytest.mark.parametrize(
    ("setting", "is_limited"),
    [({}, True), ({"OMP_NUM_THREADS": "2"}, False), ({"OMP_WAIT_POLICY": "passive"}, False)],
)
def test_torch_has_one_thread_unless_the_environment_says_more(run, monkeypatch, setting, is_limited):
    for name in ("OMP_NUM_THREADS", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in setting.items():
        monkeypatch.setenv(name, value)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert run("target", "list").code == 0
        assert (torch.get_num_threads() == 1) == is_limited
    finally:
        torch.set_num_threads(before)


def test_rtl_writes_sources_and_a_top_level_for_each_block(run, tmp_path):
    result = run("rtl", "vsq-accel-int8", "--output", tmp_path / "rtl", "--json")
    assert result.code == 0, result.err
    found = json.loads(result.out)
    assert sorted(found["files"]) == sorted(path.name for path in (tmp_path / "rtl").iterdir())
    assert {"files.f", "vsq_isa.sv", "vsq_accel_int8_vector_mac.sv"} <= set(found["files"])
    assert (found["target"], found["clocks"]) == ("vsq-accel-int8", {})
    again = run("rtl", "vsq-accel", "-o", tmp_path / "rtl")
    assert (again.code, "is not empty; give a new folder" in again.err) == (1, True)
    text = run("rtl", "vsq-accel", "-o", tmp_path / "other")
    assert text.out.splitlines() == [f"wrote {tmp_path / 'other'}: 19 blocks of vsq-accel"]


def test_rtl_refuses_before_it_writes(run, tmp_path, monkeypatch):
    data = tvm_vsq.load_hardware("vsq-accel").model_dump()
    data["timing"]["ppu_pipeline_cycles"] = 7
    (tmp_path / "short.yaml").write_text(json.dumps(data), encoding="utf-8")
    monkeypatch.setenv("PATH", str(tmp_path))
    for words, message in (
        (("tpu",), "unknown target 'tpu'"),
        ((tmp_path / "short.yaml",), "timing.ppu_pipeline_cycles=7 is too short"),
        (("vsq-accel", "--check", "100"), "verilator is not installed; on Debian: apt-get install verilator"),
    ):
        result = run("rtl", *words, "-o", tmp_path / "rtl")
        assert (result.code, message in result.err) == (1, True), result.err
        assert not (tmp_path / "rtl").exists()


def test_rtl_checks_enough_to_get_through_a_pipeline(run, tmp_path):
    for count in ("99", "10000001"):
        result = run("rtl", "vsq-accel", "-o", tmp_path / "rtl", "--check", count)
        assert (result.code, "--check" in result.err) == (2, True)


def test_rtl_simulates_what_it_wrote(run, tmp_path, monkeypatch):
    """Two blocks here; all of them in tests/rtl."""
    import tvm_vsq.rtl

    if shutil.which("verilator") is None:
        pytest.skip("needs Debian's verilator: apt-get install verilator")
    every, chosen = tvm_vsq.rtl.blocks, ("multiplier", "accumulator")
    monkeypatch.setattr(
        tvm_vsq.rtl, "blocks", lambda hardware: {name: every(hardware)[name] for name in chosen}
    )
    result = run("rtl", "vsq-accel", "-o", tmp_path / "rtl", "--check", "100", "--json")
    assert result.code == 0, result.err
    clocks = json.loads(result.out)["clocks"]
    assert clocks["multiplier"] == 100 + 7 * 6 * 2  # and corners
    assert clocks["accumulator"] > 100


def test_rtl_that_differs_is_reported_with_exit_code_1(run, tmp_path, monkeypatch):
    import tvm_vsq.rtl
    from tvm_vsq.rtl import Check

    def check(hardware, block, count, folder):
        assert (count, folder) == (100, tmp_path / "rtl")
        assert (folder / f"{block.module}.sv").is_file()  # what was written is what is simulated
        wrong = ((3, "acc", 0, "fffffffb", "00000005"),) if block.name == "accumulator" else ()
        return Check(block.name, 400, len(wrong), wrong)

    monkeypatch.setattr(tvm_vsq.rtl, "check", check)
    monkeypatch.setattr(tvm_vsq.rtl, "require_tool", lambda program: None)
    result = run("rtl", "vsq-accel", "-o", tmp_path / "rtl", "--check", "100")
    assert (result.code, result.out) == (1, "")
    assert result.err.splitlines() == [
        "error: vsq-accel: accumulator: 1 of 400 clocks differ",
        "  clock 3, acc from bit 0: fffffffb, expected 00000005",
    ]
