"""What starting imports, and that TVM knows our accelerators whoever imports it, and when."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import tvm_vsq

STUDIES = {"dask", "matplotlib", "onnx", "optuna", "pandas", "plotly", "scipy", "xgboost"}
HEAVY = STUDIES | {"torch", "tvm", "tvm_ffi"}

WITHOUT_A_MODEL = (
    "--help",
    "--version",
    "fly",
    "compile --help",
    "compile --wrong",
    "compile none.pt2 -o a.so --calibration none.npy",
    "compile m.onnx -o a.so --target tpu",
    "compile m.onnx -o a.so --quant 4/4",
    "compile m.onnx -o a.so --shape 1-2",
    "report m.onnx --calibration none.npy",
    "mix m.txt --formats 4/4/4/4 --calibration none.npy",
    "tune none.onnx -o d.json",
    "sweep none.pt2 -o swept --axis quant=4/4/4/4",
    "sweep m.onnx -o swept --axis quant=4/4/4/4 --calibration none.npy",
    "compare vsq-accel vsq-accel-int8 --model none.onnx --calibration none.npy",
    "compare vsq-accel vsq-accel-int8",
    "compare vsq-accel vsq-accel-int8 --schedules default",
    "profile none.so",
    "disasm none.so",
    "target list",
    "target show vsq-accel",
    "target show tpu",
)


def printed(code: str, folder: Path) -> str:
    """The last line that a new process prints which runs `code`."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def test_what_needs_no_model_imports_neither_tvm_nor_torch(tmp_path):
    (tmp_path / "m.onnx").touch()
    (tmp_path / "m.txt").touch()
    code = f"""
import json, sys
from tvm_vsq.cli import main

imported = {{}}
for words in {WITHOUT_A_MODEL!r}:
    sys.argv = ["tvm-vsq", *words.split()]
    try:
        main()
    except SystemExit:
        imported[words] = sorted(sys.modules.keys() & {HEAVY!r})
print(json.dumps(imported))
"""
    assert json.loads(printed(code, tmp_path)) == {words: [] for words in WITHOUT_A_MODEL}


def test_descriptions_of_accelerators_are_used_without_tvm(tmp_path):
    code = f"""
import sys, tvm_vsq
tvm_vsq.load_hardware("vsq-accel").with_(output_lanes=8).with_formats("8/8/-/-").area()
tvm_vsq.VsqError, tvm_vsq.__version__
print(sorted(sys.modules.keys() & {HEAVY!r}))
"""
    assert printed(code, tmp_path) == "[]"


@pytest.fixture(scope="module")
def folder(networks, tmp_path_factory) -> Path:
    """A folder with net.so and quantized.json, a module that TVM itself can load."""
    import tvm

    folder = tmp_path_factory.mktemp("start")
    model, x = networks.build(networks.PlainNet)
    samples = networks.samples(networks.PlainNet)
    module = tvm_vsq.quantize_model(model, example_inputs=(x,), calibration=samples)
    tvm_vsq.compile(module).save(folder / "net.so")
    (folder / "quantized.json").write_text(tvm.ir.save_json(module), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    "imports",
    [
        "import tvm_vsq, tvm",
        pytest.param("import tvm, tvm_vsq", marks=pytest.mark.large),
        "import tvm_vsq.schedule, tvm; tvm_vsq.VsqError",  # schedule imports TVM while it is imported
    ],
    ids=["ours_first", "tvm_first", "by_ours"],
)
def test_tvm_compiles_for_our_targets_in_whatever_order_they_are_imported(imports, folder):
    code = f"""
{imports}
module = tvm.ir.load_json(open("quantized.json").read())
print(tvm_vsq.Executable(tvm.compile(module, target="vsq-accel")).timing().cycles)
"""
    assert int(printed(code, folder)) == tvm_vsq.load(folder / "net.so").timing().cycles


def test_an_artifact_is_read_without_what_studies_need(folder):
    code = f"""
import sys, tvm_vsq
exe = tvm_vsq.load("net.so")
exe.explain(), exe.timing(), exe.disassemble()
print(sorted(sys.modules.keys() & {STUDIES!r}))
"""
    assert printed(code, folder) == "[]"


def test_every_public_name_is_declared_for_type_checkers_too():
    tree = ast.parse(Path(tvm_vsq.__file__).read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    assert {alias.asname for node in imports for alias in node.names} == set(tvm_vsq.__all__)
    assert set(tvm_vsq.__all__) <= set(dir(tvm_vsq))
    assert all(callable(getattr(tvm_vsq, name)) for name in tvm_vsq.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'compiel'"):
        _ = tvm_vsq.compiel


def test_no_room_is_called_as_a_public_name():
    """Importing it would put the module in the place of the function."""
    assert not {path.stem for path in Path(tvm_vsq.__file__).parent.iterdir()} & set(tvm_vsq.__all__)
