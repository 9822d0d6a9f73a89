"""Artifacts: what is saved runs elsewhere, what is not an artifact is refused."""

from __future__ import annotations

import gc
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace

import numpy as np
import pytest
import tvm
from tvm import relax

import tvm_vsq
from tvm_vsq.codegen import build as codegen_build
from tvm_vsq.codegen.tokens import order_steps
from tvm_vsq.errors import InputError, ProgramError
from tvm_vsq.frontend import import_model
from tvm_vsq.runtime import executable, native, seal

UNFITTED = tvm_vsq.QuantConfig.parse("4/4/4/4").unfitted()

# What another process finds out about an artifact, without torch models or the compiler at hand.
READER = """
import json, sys
import numpy as np
import tvm_vsq
exe = tvm_vsq.load(sys.argv[1])
x = np.load("x.npy")
results = exe(x)
np.savez("results.npz", *(results if isinstance(results, tuple) else (results,)))
rows = [row.model_dump() for row in exe.explain()]
found = {"profile": exe.profile(x).to_dict(), "explain": rows, "disassembly": exe.disassemble()}
json.dump(found, open("found.json", "w"))
"""


@pytest.fixture(scope="module")
def saved(networks, tmp_path_factory):
    """(executable, input, path of its artifact)."""
    model, x = networks.build(networks.ClippedNet)
    samples = networks.samples(networks.ClippedNet)
    exe = tvm_vsq.compile(model, example_inputs=(x,), calibration=samples)
    path = tmp_path_factory.mktemp("artifact") / "model.so"
    exe.save(path)
    return exe, x.numpy(), path


@pytest.mark.large
def test_a_new_process_gets_the_same_results_cycles_and_explanation(saved, tmp_path):
    exe, x, path = saved
    np.save(tmp_path / "x.npy", x)
    subprocess.run([sys.executable, "-c", READER, str(path)], cwd=tmp_path, check=True, timeout=300)
    results = list(np.load(tmp_path / "results.npz").values())
    for expected, result in zip(exe(x), results, strict=True):
        assert np.array_equal(expected, result)
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert found["profile"] == json.loads(exe.profile(x).to_json())
    assert found["explain"] == [row.model_dump() for row in exe.explain()]
    assert found["disassembly"] == exe.disassemble()


def test_saving_over_an_artifact_replaces_it(saved, tmp_path):
    exe, x, _ = saved
    path = tmp_path / "model.so"
    exe.save(path)
    exe.save(str(path))
    assert np.array_equal(tvm_vsq.load(str(path))(x)[0], exe(x)[0])


def test_a_loaded_artifact_has_no_reference_and_cannot_be_saved(saved, tmp_path):
    _, x, path = saved
    loaded = tvm_vsq.load(path)
    with pytest.raises(ProgramError, match="has no CPU reference"):
        loaded.reference(x)
    with pytest.raises(ProgramError, match="was loaded; copy its file"):
        loaded.save(tmp_path / "copy.so")
    with pytest.raises(InputError, match="got 0"):
        loaded()


@pytest.mark.parametrize("name", ["model", "model.dll", "model.so.bak"])
def test_save_wants_the_suffix(saved, tmp_path, name):
    with pytest.raises(InputError, match=rf"cannot write '.*{name}': the file name must end in \.so"):
        saved[0].save(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_save_wants_an_existing_folder_and_a_file_name(saved, tmp_path):
    with pytest.raises(InputError, match=r"folder '.*missing' does not exist"):
        saved[0].save(tmp_path / "missing" / "model.so")
    (tmp_path / "folder.so").mkdir()
    with pytest.raises(InputError, match="it is a folder"):
        saved[0].save(tmp_path / "folder.so")
    with pytest.raises(InputError, match="must be a str or a Path, not NoneType"):
        saved[0].save(None)


def test_load_wants_an_existing_file(tmp_path):
    with pytest.raises(InputError, match=r"cannot load '.*model\.so': there is no such file"):
        tvm_vsq.load(tmp_path / "model.so")
    with pytest.raises(InputError, match="it is a folder"):
        tvm_vsq.load(tmp_path)
    with pytest.raises(InputError, match="must be a str or a Path, not int"):
        tvm_vsq.load(3)


def test_load_wants_the_suffix(saved, tmp_path):
    shutil.copy(saved[2], tmp_path / "model.bin")
    with pytest.raises(InputError, match=r"must end in \.so"):
        tvm_vsq.load(tmp_path / "model.bin")


@pytest.mark.parametrize("content", [b"", b"hello", b"x" * 4096, b"\x7fELF" + bytes(100)])
def test_a_file_that_only_has_the_name_is_refused(tmp_path, content):
    path = tmp_path / "model.so"
    path.write_bytes(content)
    with pytest.raises(ProgramError, match=r"cannot load '.*model\.so': "):
        tvm_vsq.load(path)


def _cuts(size, blob):
    """Where to cut a file: everywhere in the accelerator's part, head and tail, elsewhere at random."""
    rng = np.random.default_rng(0)
    points = {*range(4096), *range(size - 4096, size), *blob, *rng.integers(0, size, 2000).tolist()}
    return sorted(points, reverse=True)


def test_an_artifact_cut_short_anywhere_is_refused(saved, tmp_path):
    path = tmp_path / "model.so"
    data = saved[2].read_bytes()
    start = data.index(b"VSQACCEL")
    length = int.from_bytes(data[start - 8 : start], "little")
    path.write_bytes(data)
    for size in _cuts(len(data), range(start - 8, start + length)):
        os.truncate(path, size)
        with pytest.raises(
            ProgramError, match=r"cannot load '.*model\.so': it is damaged, cut short, or not"
        ):
            tvm_vsq.load(path)


def test_an_artifact_with_any_byte_changed_is_refused(saved, tmp_path):
    path = tmp_path / "model.so"
    data = bytearray(saved[2].read_bytes())
    rng = np.random.default_rng(1)
    for position in [*rng.integers(0, len(data), 2000).tolist(), *range(len(data) - 64, len(data))]:
        data[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(data)
        with pytest.raises(ProgramError, match=r"cannot load '.*model\.so': .*save the model again with"):
            tvm_vsq.load(path)
        data[:] = saved[2].read_bytes()
    path.write_bytes(data + b"\0")
    with pytest.raises(ProgramError, match="damaged"):
        tvm_vsq.load(path)


def test_a_failed_save_leaves_the_old_file_and_nothing_else(saved, tmp_path, monkeypatch):
    exe, x, _ = saved
    path = tmp_path / "model.so"
    exe.save(path)

    def full(file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(executable, "append_seal", full)
    with pytest.raises(InputError, match=r"cannot write '.*model\.so': No space left"):
        exe.save(path)
    assert list(tmp_path.iterdir()) == [path]
    assert np.array_equal(tvm_vsq.load(path)(x)[0], exe(x)[0])


def test_a_loaded_model_does_not_notice_what_happens_to_its_file(saved, tmp_path):
    exe, x, file = saved
    path = tmp_path / "model.so"
    shutil.copy(file, path)
    loaded = tvm_vsq.load(path)
    path.write_bytes(b"")
    assert np.array_equal(loaded(x)[0], exe(x)[0])


def test_saving_over_a_loaded_artifact_gives_the_new_model(networks, saved, tmp_path):
    path = tmp_path / "model.so"
    saved[0].save(path)
    first = tvm_vsq.load(path)
    model, x = networks.build(networks.Mlp)
    exe = tvm_vsq.compile(model, example_inputs=(x,), calibration=[x])
    exe.save(path)
    assert np.array_equal(tvm_vsq.load(path)(x), exe(x))
    assert np.array_equal(first(saved[1])[0], saved[0](saved[1])[0])


def test_a_seal_of_another_version_is_named(saved, tmp_path, monkeypatch):
    path = tmp_path / "model.so"
    monkeypatch.setattr(seal, "_VERSION", 2)
    saved[0].save(path)
    monkeypatch.undo()
    with pytest.raises(ProgramError, match="its format is version 2, this library reads 1"):
        tvm_vsq.load(path)


@pytest.fixture(scope="module")
def cpu_library(networks, tmp_path_factory):
    """A library that TVM made without an accelerator."""
    path = tmp_path_factory.mktemp("cpu") / "cpu.so"
    model, x = networks.build(networks.Mlp)
    tvm.compile(import_model(model, (x,)), target="llvm").export_library(str(path))
    return path


def test_libraries_that_save_did_not_write_are_refused_before_they_are_loaded(cpu_library, tmp_path):
    shutil.copy(native.library_path(), tmp_path / "copy.so")
    for path in (tmp_path / "copy.so", native.library_path(), cpu_library):
        with pytest.raises(ProgramError, match=r"cannot load '.*\.so': .* not written by Executable\.save"):
            tvm_vsq.load(path)


def test_a_sealed_library_without_accelerator_programs_is_refused(cpu_library, tmp_path):
    shutil.copy(cpu_library, tmp_path / "cpu.so")
    seal.append_seal(tmp_path / "cpu.so")
    with pytest.raises(ProgramError, match=r"cannot load '.*cpu\.so': .* no accelerator programs"):
        tvm_vsq.load(tmp_path / "cpu.so")


def test_a_sealed_file_that_is_no_library_is_refused(tmp_path):
    (tmp_path / "model.so").write_bytes(b"hello")
    seal.append_seal(tmp_path / "model.so")
    with pytest.raises(ProgramError, match=r"cannot load '.*model\.so': .*"):
        tvm_vsq.load(tmp_path / "model.so")


def _run(code, *arguments, **environment):
    """A process of its own, for what may end it."""
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


# Saves over an artifact where files may have few bytes only, as on a disk that is full.
FULL_DISK = """
import os, resource, signal, sys
from pathlib import Path
import numpy as np
import tvm, tvm_vsq
from tests.api.test_save_load import small
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = Path(sys.argv[1])
exe = small()
exe.save(path)
before, size = path.read_bytes(), path.stat().st_size
for limit in (0, 100, size // 8, size // 2, size - 52, size - 1):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        exe.save(path)
        print("saved in", limit)
    except tvm_vsq.errors.InputError as error:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        print(error)
    assert path.read_bytes() == before and os.listdir(path.parent) == [path.name]
exe.save(path)
"""


def small():
    """One layer, made without torch."""
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType([2, 8], "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            output = builder.emit_output(relax.op.matmul(x, relax.const(np.eye(8, dtype=np.float32))))
        builder.emit_func_output(output)
    quant = tvm_vsq.QuantConfig.parse("4/4/4/4").unfitted()
    samples = [np.random.default_rng(0).normal(size=(2, 8)).astype(np.float32)]
    return tvm_vsq.compile(builder.get(), quant=quant, calibration=samples)


@pytest.mark.large
def test_a_full_disk_ends_neither_the_process_nor_the_old_file(tmp_path):
    run = _run(FULL_DISK, tmp_path / "model.so")
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert len(lines) >= 6
    assert not [line for line in lines if line.startswith("saved in")]
    assert [line for line in lines if "File too large" in line]


def test_the_folder_for_temporary_files_is_not_needed_to_save(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "missing"))
    small().save(tmp_path / "model.so")
    assert os.listdir(tmp_path) == ["model.so"]
    with pytest.raises(InputError, match=r"cannot load '.*': it cannot be copied to '.*missing' .*TMPDIR"):
        tvm_vsq.load(tmp_path / "model.so")


@pytest.mark.parametrize(
    ("compiler", "message"),
    [
        (None, "a C.. compiler is needed, and none is installed; install g.., or name another one in CXX"),
        ("no-such-compiler", "'no-such-compiler' cannot be run; install"),
        ("false", "'false' failed: exit status 1"),
    ],
)
def test_a_compiler_that_is_missing_or_fails_is_named(tmp_path, monkeypatch, compiler, message):
    exe = small()
    if compiler is None:
        monkeypatch.delenv("CXX", raising=False)
        monkeypatch.delenv("CC", raising=False)
        monkeypatch.setenv("PATH", str(tmp_path))
    else:
        monkeypatch.setenv("CXX", compiler)
    with pytest.raises(InputError, match=rf"cannot write '.*model\.so': .*{message}"):
        exe.save(tmp_path / "model.so")
    assert not os.listdir(tmp_path)


# Is killed while the compiler runs, which it finds in CXX: this script kills its parent.
KILLED = """
import sys
from tests.api.test_save_load import small
small().save(sys.argv[1])
"""


@pytest.mark.large
def test_what_a_killed_save_left_goes_with_the_next(tmp_path):
    killer = tmp_path / "killer"
    killer.write_text("#!/bin/sh\nkill -9 $PPID\n")
    killer.chmod(0o755)
    folder = tmp_path / "folder"
    folder.mkdir()
    run = _run(KILLED, folder / "model.so", CXX=str(killer))
    assert run.returncode == -9, run.stderr
    assert len(os.listdir(folder)) == 1  # its draft
    small().save(folder / "model.so")
    assert os.listdir(folder) == ["model.so"]


def test_a_link_stays_and_a_read_only_file_and_a_device_are_refused(saved, tmp_path):
    exe, x, _ = saved
    (tmp_path / "link.so").symlink_to("real.so")
    exe.save(tmp_path / "link.so")
    assert (tmp_path / "link.so").is_symlink()
    assert np.array_equal(tvm_vsq.load(tmp_path / "real.so")(x)[0], exe(x)[0])
    (tmp_path / "real.so").chmod(0o444)
    with pytest.raises(InputError, match="it is read-only"):
        exe.save(tmp_path / "real.so")
    (tmp_path / "device.so").symlink_to("/dev/null")
    with pytest.raises(InputError, match="it is no file, but a device or a pipe"):
        exe.save(tmp_path / "device.so")


@pytest.mark.parametrize("kind", ["fifo", "device", "loop", "long"])
def test_what_is_no_file_is_refused_at_once(tmp_path, kind):
    path, message = tmp_path / f"{kind}.so", "it is no file, but a device or a pipe"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "loop":
        path.symlink_to(path)
        message = "Too many levels of symbolic links"
    else:
        path, message = tmp_path / f"{'n' * 300}.so", "File name too long"
    with pytest.raises(InputError, match=rf"cannot load '.*\.so': {message}"):
        tvm_vsq.load(path)


def test_a_huge_file_is_refused_by_its_end_without_being_read(saved, tmp_path, monkeypatch):
    path = tmp_path / "model.so"
    shutil.copy(saved[2], path)
    monkeypatch.setattr(seal, "_CHUNK_BYTES", None)  # reading the file fails
    os.truncate(path, 3 << 30)
    with pytest.raises(ProgramError, match=r"cannot load '.*': it has 3221225472 bytes, and artifacts have"):
        tvm_vsq.load(path)
    os.truncate(path, 1 << 30)
    with pytest.raises(ProgramError, match="it is damaged, cut short, or not written by"):
        tvm_vsq.load(path)
    with path.open("ab") as stream:
        stream.write(saved[2].read_bytes()[-52:])
    with pytest.raises(ProgramError, match=r"it is damaged, its library had \d+ bytes when it was saved"):
        tvm_vsq.load(path)


def _mapped_models():
    with open("/proc/self/maps", encoding="utf-8") as maps:
        return sum("model.so" in line for line in maps)


def test_a_model_that_is_dropped_is_unmapped_and_its_results_stay(saved):
    exe, x, path = saved
    gc.collect()
    before = _mapped_models()
    for _ in range(3):
        loaded = tvm_vsq.load(path)
        assert _mapped_models() > before
        results = loaded(x)
        loaded.profile(x)
        del loaded
        gc.collect()
        assert _mapped_models() == before
        assert np.array_equal(results[0], exe(x)[0])


def test_what_tvm_compile_made_can_be_saved(networks, tmp_path):
    model, x = networks.build(networks.PlainNet)
    quantized = tvm_vsq.quantize_model(model, example_inputs=(x,), calibration=[x])
    exe = tvm_vsq.Executable(tvm.compile(quantized, target="vsq-accel"))
    exe.save(tmp_path / "model.so")
    assert np.array_equal(tvm_vsq.load(tmp_path / "model.so")(x), exe(x))


def test_a_racy_artifact_is_loaded_only_if_nobody_verifies_it(networks, tmp_path, monkeypatch):
    def without_first_token(steps, depth):
        """No load makes the first computation wait."""
        steps = order_steps(steps, depth)
        for bit, engine in (("push_compute", "load"), ("pop_load", "compute")):
            index = next(i for i, s in enumerate(steps) if s.engine == engine and bit in s.insn.tokens)
            insn = replace(steps[index].insn, tokens=steps[index].insn.tokens - {bit})
            steps[index] = replace(steps[index], insn=insn)
        return steps

    monkeypatch.setattr(codegen_build, "order_steps", without_first_token)
    model, x = networks.build(networks.PlainNet)
    options = {"example_inputs": (x,), "calibration": [x], "quant": UNFITTED}
    with pytest.raises(ProgramError, match="race: reads entry 0"):
        tvm_vsq.compile(model, **options)
    exe = tvm_vsq.compile(model, **options, verify=False)
    exe.save(tmp_path / "racy.so")
    with pytest.raises(ProgramError, match=r"cannot load .*race: reads entry 0"):
        tvm_vsq.load(tmp_path / "racy.so")
    assert tvm_vsq.load(tmp_path / "racy.so", verify=False).timing() == exe.timing()
