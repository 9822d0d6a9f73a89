"""A compiled model: runs, profiles, explains and saves itself."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

import tvm
from tvm import relax

from tvm_vsq import isa
from tvm_vsq.errors import InputError, ProgramError
from tvm_vsq.files import as_path, replacing
from tvm_vsq.hardware import HardwareConfig, Technology, load_technology
from tvm_vsq.progress import busy, progress_shown
from tvm_vsq.rtl.operands import Operands
from tvm_vsq.runtime import native
from tvm_vsq.runtime.arrays import (
    Outputs,
    check_inputs,
    join_batch,
    like_inputs,
    outputs_of,
    positional,
    split_batch,
)
from tvm_vsq.runtime.explanation import Explanation
from tvm_vsq.runtime.library import load_library, modules_of, write_library
from tvm_vsq.runtime.metadata import Metadata
from tvm_vsq.runtime.operands import catch_arguments, check_request, operands_of
from tvm_vsq.runtime.profile import Profile, build_profile
from tvm_vsq.runtime.seal import append_seal
from tvm_vsq.runtime.timeline import ProgramTrace
from tvm_vsq.terminal import Printed, Table

MODULE_KIND = "vsq_accel"


class Executable(Printed):
    """A model compiled for one accelerator. Made by `tvm_vsq.compile` or `tvm_vsq.load`.

    `Executable(built)` makes one of what TVM's own `tvm.compile` returns for a target of ours; it has no
    `reference`.
    """

    def __init__(self, module: Any, reference: Callable[[], Any] | None = None) -> None:
        """Wrap a Relax executable (or a loaded library); `reference` builds the CPU twin on demand.

        Raises ProgramError for anything that holds no accelerator programs.
        """
        self._module = module
        self._accelerator = _find_accelerator(module)
        self.metadata = Metadata.parse(str(self._accelerator["get_metadata"]()))
        self._build_reference = reference
        self._reference_vm: Any = None
        self._lock = threading.Lock()
        self._free_vms: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._free_vms.put(relax.VirtualMachine(module, tvm.cpu()))

    @property
    def hardware(self) -> HardwareConfig:
        """The HardwareConfig that the programs were compiled for."""
        return self.metadata.hardware

    @property
    def summary(self) -> str:
        """Target, formats, and what runs where."""
        found = self.explain()
        on_cpu = sum(kind.count for kind in found.not_counted.operators)
        return (
            f"{self.hardware.label} {self.hardware.built_for}: {found.layers} layers on the chip, {on_cpu} "
            f"operators on the CPU"
        )

    def _parts(self, wide: bool) -> Iterator[Table | str]:
        data, found, chip = self.metadata, self.explain(), self.hardware
        yield (
            f"target: {chip.label} {chip.built_for}, vectors of {chip.vector_size}, "
            f"{chip.macs_per_cycle} MACs a cycle at {chip.clock_mhz} MHz"
        )
        inputs = ", ".join(f"{each.name} {each.dtype}{list(each.shape)}" for each in data.inputs)
        yield f"inputs: {inputs}"
        # an artifact of an earlier version does not say
        if data.results:
            yield "results: " + ", ".join(f"{each.dtype}{list(each.shape)}" for each in data.results)
        yield f"{found.totals}"
        tuned = sum(layer.tuned for layer in data.layers)
        yield f"schedules: {tuned} of {len(data.layers)} tuned, the others default"
        yield str(found.memory)
        if found.import_note:
            yield f"import: {found.import_note}"
        yield "see .explain(), .timing(), .timing().why(), .disassemble()"

    @cached_property
    def _technology(self) -> Technology:
        return load_technology(self.hardware.technology)

    def __call__(self, *args: Any, **named: Any) -> Any:
        """Run one inference.

        Arguments are torch tensors or NumPy arrays of the compiled shapes and dtypes, by place, by the names
        of the inputs, or in one mapping from names; results are of the same kind, in a tuple if the
        model returns one, or a dataclass, be it of one field.
        Raises InputError for anything else, ProgramError if the simulator refuses the program.
        """
        args = self._in_order(args, named)
        return like_inputs(self._run_on_a_free_vm(args), args)

    def _in_order(self, args: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
        return positional(args, named, self.metadata.inputs)

    def run_batch(self, *args: Any, threads: int | None = None, **named: Any) -> Any:
        """Run many inferences, several at a time.

        Arguments are arrays as for `__call__`, but with any multiple of its first axis: the model
        of one image takes [n, C, H, W]. Results are joined along their first axis, in order. `threads`: how
        many run side by side; default is the processors that this process may use.
        Raises InputError for a wrong argument, or for a model whose outputs have no first axis to join.
        """
        args = self._in_order(args, named)
        samples = split_batch(args, self.metadata.inputs)
        workers = len(os.sched_getaffinity(0)) if threads is None else threads
        if type(workers) is not int or workers < 1:
            raise InputError(f"threads={threads!r}: give an integer of at least 1")
        with ThreadPoolExecutor(min(workers, len(samples))) as executor:
            try:
                results = list(executor.map(self._run_sample, range(len(samples)), samples))
            except BaseException:
                executor.shutdown(cancel_futures=True)
                raise
        return like_inputs(join_batch(results, self.metadata.inputs[0]), args)

    def profile(
        self, *args: Any, technology: str | os.PathLike[str] | Technology | None = None, **named: Any
    ) -> Profile:
        """Run one inference as `__call__` does and report what the accelerator did.

        technology: what energies are by, as for `Profile.with_technology`; the target's own if None. Raises
        ConfigError if that is out of reach, InputError and ProgramError as `__call__` does.
        """
        table = self._table(technology)
        args = self._in_order(args, named)
        return self._profile_of(like_inputs(self._run_on_a_free_vm(args), args), table)

    def timing(self, technology: str | os.PathLike[str] | Technology | None = None) -> Profile:
        """The profile of an inference without running one: timing depends on no data. Outputs are None."""
        return self._profile_of(None, self._table(technology))

    def operands(
        self,
        layer: str,
        *args: Any,
        unit: str = "compute",
        lane: int = 0,
        cycles: int = 2000,
        skip: int = 0,
        **named: Any,
    ) -> Operands:
        """Run one inference, and record what a unit works on in one layer, cycle by cycle.

        layer: its name in `explain()`. args: as for `__call__`. unit: "compute" (its GEMMs) gives
        ComputeOperands, "vector" VectorOperands, both of output lane `lane`; "ppu" gives PpuOperands, of
        all lanes, with lane=0. Recorded are `cycles` of the unit's cycles in the layer behind the first
        `skip`, or as many as there are: `len(operands)`, while `operands.cycles` is how many the layer has.
        Arrays are int64 and bool, a row a cycle; tvm_vsq.rtl.operands gives their shapes, and
        tvm_vsq.rtl.streams makes inputs of RTL of them (docs/simulator.md, section 7).
        Raises InputError for wrong arguments, a layer or unit that there is not and numbers out of range;
        ProgramError where the unit does nothing in the layer, or depthwise windows (DWCONV), or nothing
        behind `skip`.
        """
        numbers = {"lane": lane, "skip": skip, "cycles": cycles}
        program = check_request(self.metadata.layers, self.hardware, layer, unit, numbers)
        vm, args = relax.VirtualMachine(self._module, tvm.cpu()), self._in_order(args, named)
        tensors = catch_arguments(vm, program)
        self._run(vm, args)
        found = native.record_operands(self._accelerator, program, layer, unit, lane, skip, cycles, tensors)
        return operands_of(found, self.hardware, layer, unit, lane, skip)

    def _table(self, technology: str | os.PathLike[str] | Technology | None) -> Technology:
        return self._technology if technology is None else load_technology(technology)

    def _profile_of(self, outputs: Any, technology: Technology) -> Profile:
        return profile_of(self._accelerator, self.metadata, technology, outputs)

    def reference(self, *args: Any, **named: Any) -> Any:
        """Run the same fused integer module on the CPU through TVM; equals `__call__` bit for bit.

        Raises InputError as `__call__` does, and ProgramError on a loaded artifact, which does not carry
        the module.
        """
        if self._build_reference is None:
            raise ProgramError(
                "an artifact that was loaded, or built by tvm.compile, has no CPU reference; "
                "tvm_vsq.compile gives one"
            )
        with self._lock:
            if self._reference_vm is None:
                self._reference_vm = relax.VirtualMachine(self._build_reference(), tvm.cpu())
        args = self._in_order(args, named)
        return like_inputs(self._run(self._reference_vm, args), args)

    def explain(self) -> Explanation:
        """Every operator of the compiled model, where it runs and why. Prints as a table."""
        return Explanation.of(self.metadata)

    def disassemble(self) -> str:
        """Every instruction of every accelerator program, with its index and the layer it came from."""
        lines = []
        for name, insns in self._decoded():
            lines.append(f"# program {name}: {len(insns)} instructions")
            for index, (insn, layer) in enumerate(insns):
                lines.append(f"{isa.disassemble(insn)}  # {index} {layer}")
        return "\n".join(lines) + "\n"

    def instructions(self) -> list[dict[str, Any]]:
        """What `disassemble` prints, as data.

        For each instruction a dict of its `program`, the `index` in it, `layer`, `opcode`, `fields` (by name,
        numbers or names of codes) and `tokens` (pops and pushes).
        """
        return [
            {"program": name, "index": index, "layer": layer, **isa.described(insn)}
            for name, insns in self._decoded()
            for index, (insn, layer) in enumerate(insns)
        ]

    def _decoded(self) -> Iterator[tuple[str, list[tuple[isa.Insn, str]]]]:
        """The name of each accelerator program, and its instructions with the layers that they came from."""
        for program in self._accelerator["get_programs"]():
            names = [str(name) for name in program["layer_names"]]
            layers = [names[int(layer)] for layer in program["layers"]]
            insns = isa.decode_all(bytes(program["instructions"]), self.hardware)
            yield str(program["name"]), list(zip(insns, layers, strict=True))

    def save(self, path: str | os.PathLike[str], *, progress: bool = False) -> None:
        """Write a shared library that `tvm_vsq.load` reads in any process on the same kind of machine.

        The file is replaced as a whole, and sealed with a checksum; a save that fails leaves the old one.
        Needs a C++ compiler: the one in CXX, else g++ or another one that is installed.
        progress: show a bar on stderr, if that is a terminal.
        Raises InputError if `path` cannot be written (another suffix than `.so`, a folder, a read-only file,
        a full disk, ...) or there is no compiler; ProgramError on a loaded artifact.
        """
        if isinstance(self._module, tvm.runtime.Module):
            raise ProgramError(f"cannot write '{as_path(path)}': the model was loaded; copy its file instead")
        with replacing(path, ".so") as draft:
            if draft.exists():
                raise InputError(f"cannot write '{path}': it is no file, but a device or a pipe")
            with progress_shown(progress), busy(f"writing {os.path.basename(path)}"):
                write_library(self._module, draft)
            append_seal(draft)

    def _run_sample(self, number: int, args: tuple[Any, ...]) -> Outputs:
        try:
            return self._run_on_a_free_vm(args)
        except InputError as error:
            raise InputError(f"inference {number} of the batch: {error}") from None

    def _run_on_a_free_vm(self, args: tuple[Any, ...]) -> Outputs:
        """A virtual machine runs one inference at a time; there are as many as were needed at once."""
        try:
            vm = self._free_vms.get_nowait()
        except queue.Empty:
            vm = relax.VirtualMachine(self._module, tvm.cpu())
        try:
            return self._run(vm, args)
        finally:
            self._free_vms.put(vm)

    def _run(self, vm: Any, args: tuple[Any, ...]) -> Outputs:
        arrays = check_inputs(args, self.metadata.inputs)
        tensors = [tvm.runtime.tensor(array) for array in arrays]
        with native.translated_errors():
            return outputs_of(vm["main"](*tensors))


def profile_of(
    accelerator: Any,
    metadata: Metadata | None = None,
    technology: Technology | None = None,
    outputs: Any = None,
) -> Profile:
    """What an inference costs by the programs of `accelerator`, a runtime module of `native.create_module`.

    metadata, technology: the module's own if None.
    """
    metadata = metadata or Metadata.parse(str(accelerator["get_metadata"]()))
    technology = technology or load_technology(metadata.hardware.technology)

    def traces(max_bins: int) -> list[ProgramTrace]:
        programs = list(accelerator["get_programs"]())
        bins = max(1, max_bins // max(1, len(programs)))
        return [ProgramTrace.read(accelerator, program, metadata.hardware, bins) for program in programs]

    # An inference runs every program once, in this order.
    return build_profile(accelerator["get_timing"](), metadata, technology, outputs, traces)


def _find_accelerator(module: Any) -> Any:
    for candidate in modules_of(module):
        if not isinstance(candidate, tvm.runtime.Module):
            raise ProgramError(f"a {type(module).__name__} is nothing that TVM compiled")
        if candidate.kind == MODULE_KIND:
            return candidate
    raise ProgramError(
        "it holds no accelerator programs: it comes neither from Executable.save nor from "
        "tvm.compile(quantized, target=hardware.tvm_target())"
    )


def load(path: str | os.PathLike[str], *, verify: bool = True) -> Executable:
    """Load what `Executable.save` wrote.

    verify: prove again that the programs are free of races (docs/simulator.md, section 5), in milliseconds.
    An artifact holds machine code: load only what you trust. The checksum finds damage, not malice. What it
    takes in memory is given back with the last reference to the Executable.
    Raises InputError if there is no such file or it cannot be read, ProgramError if it is not an artifact of
    this version or differs in any byte from what was saved.
    """
    native.library()
    file = as_path(path)
    try:
        with native.verification(verify):
            module = load_library(file)
        return Executable(module)
    except (InputError, ProgramError) as error:
        raise type(error)(f"cannot load '{file}': {error}") from None
    except Exception as error:
        raise ProgramError(f"cannot load '{file}': {error}") from None
