"""A second, independent reading of docs/isa.md: executes decoded instructions one at a time, in any order it
is told.
"""

from __future__ import annotations

import random
from collections import deque

import numpy as np

from tvm_vsq.codegen.program import Program
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.isa import LOAD_MEMORIES, STORE_MEMORIES, Insn, decode_all, decode_uops

ENGINE = {
    "LOAD": "load",
    "STORE": "store",
    "GEMM": "compute",
    "PPU": "ppu",
    "SYNC": "compute",
    "DWCONV": "compute",
    "VEC": "vector",
    "REDUCE": "vector",
    "FINISH": "store",
}
ENGINES = ("load", "compute", "vector", "ppu", "store")


def bits_to_ints(data: np.ndarray, widths: list[int]) -> np.ndarray:
    """Records uint8 [n, bytes] -> unsigned int64 [n, len(widths)], little-endian bit strings."""
    bits = np.unpackbits(data, axis=1, bitorder="little").astype(np.int64)
    columns, start = [], 0
    for width in widths:
        columns.append(bits[:, start : start + width] @ (1 << np.arange(width, dtype=np.int64)))
        start += width
    return np.stack(columns, axis=1)


def ints_to_bits(values: np.ndarray, widths: list[int], size: int) -> np.ndarray:
    """Inverse of bits_to_ints, records of `size` bytes."""
    bits = np.zeros((len(values), size * 8), dtype=np.uint8)
    start = 0
    for column, width in zip(values.T, widths, strict=True):
        bits[:, start : start + width] = (column[:, None] >> np.arange(width)) & 1
        start += width
    return np.packbits(bits, axis=1, bitorder="little")


def to_signed(values: np.ndarray, bits: int) -> np.ndarray:
    return values - ((values >> (bits - 1)) << bits)


def joined(digits: np.ndarray, bits: int, is_signed: bool) -> np.ndarray:
    """[..., digits, V] of unsigned codes, the lowest digit first, to the elements that they make."""
    count = digits.shape[-2]
    codes = sum(digits[..., i, :] << (bits * i) for i in range(count))
    elements = to_signed(codes, bits * count) if is_signed else codes
    assert (-128 if is_signed else 0) <= elements.min() <= elements.max() <= (127 if is_signed else 255)
    return elements


def split(elements: np.ndarray, bits: int, count: int) -> np.ndarray:
    """Inverse of joined, of elements [..., V]; the highest digit is what is left, with its sign."""
    low = [elements >> (bits * i) & ((1 << bits) - 1) for i in range(count - 1)]
    return np.stack([*low, elements >> (bits * (count - 1))], axis=-2)


def rhu(numerator: np.ndarray, shift: np.ndarray | int) -> np.ndarray:
    return (numerator.astype(object) * 2 + (1 << np.asarray(shift, dtype=object))) >> (
        np.asarray(shift, dtype=object) + 1
    )


class Machine:
    def __init__(self, program: Program, hardware: HardwareConfig) -> None:
        self.hw, self.program = hardware, program
        self.insns = decode_all(program.instructions, hardware)
        v, bo, depths = hardware.vector_size, hardware.output_lanes, hardware.depths
        self.dram = np.full(program.dram_bytes, 0xA5, dtype=np.uint8)
        self.dram[: len(program.image)] = np.frombuffer(program.image, dtype=np.uint8)
        # Undefined content, so that whoever reads what nobody wrote gets wrong numbers.
        garbage = np.random.default_rng(1)
        self.pads = {
            "inp": garbage.integers(0, 2**hardware.activation_bits, (depths["inp"], v + 1)),
            "out": garbage.integers(0, 2**hardware.activation_bits, (depths["out"], v + 1)),
            "wgt": garbage.integers(0, 2**hardware.weight_bits, (depths["wgt"], bo, v + 1)),
            "acc": garbage.integers(-9999, 9999, (depths["acc"], bo)),
            "par": garbage.integers(0, 200, (depths["par"], bo, 4)),
            "uop": garbage.integers(1, 16, (depths["uop"], 3)),
        }
        self.vector_widths = [hardware.activation_bits] * v + (
            [hardware.activation_scale_bits] if hardware.activation_scale_bits else []
        )
        self.weight_widths = [hardware.weight_bits] * v + (
            [hardware.weight_scale_bits] if hardware.weight_scale_bits else []
        )
        # The second operand of a product of activations: the narrower of both sides.
        self.second_bits = min(hardware.weight_bits, hardware.activation_bits)
        scales = hardware.weight_scale_bits or 0, hardware.activation_scale_bits or 0
        self.second_widths = [self.second_bits] * v + [min(scales)] * (min(scales) > 0)
        self.second_bytes = -(-sum(self.second_widths) // 8)

        self.writers = {pad: np.full(len(content), -1) for pad, content in self.pads.items()}
        self.provenance: dict[int, list[bytes]] = {}

    # Host side

    def write_input(self, index: int, vectors: np.ndarray) -> None:
        kind, offset, rows, lanes, _signed, *form = self.program.inputs[index]
        assert vectors.size == rows * lanes
        if kind == 1:
            values = self.fitted(vectors.reshape(rows, lanes), self.wide_lanes(lanes)).astype("<i4")
            self.dram[offset : offset + values.nbytes] = values.view(np.uint8).reshape(-1)
            return
        widths, size = self.form(kind)
        values = vectors.reshape(rows, lanes).astype(np.int64)
        digits = form[2] if form else 1
        elements = split(values[:, :-1], widths[0], digits).reshape(rows * digits, -1)
        values = np.concatenate([elements, np.repeat(values[:, -1:], digits, axis=0)], axis=1)
        rows, values = rows * digits, values[:, : len(widths)]
        values[:, : lanes - 1] &= (1 << widths[0]) - 1
        self.dram[offset : offset + rows * size] = ints_to_bits(values, widths, size).reshape(-1)

    def read_output(self, index: int, shape: tuple[int, ...]) -> np.ndarray:
        kind, offset, rows, lanes, signed, *form = self.program.outputs[index]
        if kind == 1:
            stored = self.wide_lanes(lanes)
            data = self.dram[offset : offset + 4 * rows * stored].view("<i4").reshape(rows, stored)
            return data[:, :lanes].reshape(shape)
        widths, size = self.form(kind)
        digits = form[2] if form else 1
        records = self.dram[offset : offset + rows * digits * size].reshape(rows * digits, size)
        values = self.unpack(records, widths).reshape(rows, digits, lanes)
        elements = joined(values[..., :-1], widths[0], bool(signed))
        return np.concatenate([elements, values[:, 0, -1:]], axis=1).astype(np.int16).reshape(shape)

    def wide_lanes(self, lanes: int) -> int:
        return -(-lanes // self.hw.output_lanes) * self.hw.output_lanes

    def form(self, kind: int) -> tuple[list[int], int]:
        """Widths of the numbers of a record, and its bytes, of a tensor of vectors."""
        if kind == 2:
            return self.second_widths, self.second_bytes
        return self.vector_widths, self.hw.record_bytes["inp"]

    def unpack(self, records: np.ndarray, widths: list[int]) -> np.ndarray:
        values = bits_to_ints(records, widths)
        if len(widths) == self.hw.vector_size:
            values = np.concatenate([values, np.ones((len(values), 1), np.int64)], axis=1)
        return values

    # Instructions

    def execute(self, number: int, insn: Insn) -> None:
        """Execute instruction `number`; `provenance` then tells which instructions its operands came from."""
        self.number, self.operands = number, []
        if insn.name not in ("SYNC", "FINISH"):
            getattr(self, insn.name.lower())(insn.fields)
        self.provenance[number] = self.operands

    def reads(self, pad: str, entries: np.ndarray | slice) -> None:
        self.operands.append(self.writers[pad][entries].tobytes())

    def writes(self, pad: str, entries: np.ndarray | slice) -> None:
        self.writers[pad][entries] = self.number

    def load(self, f: dict[str, int]) -> None:
        memory = LOAD_MEMORIES[f["mem"]]
        pad, size = self.pads[memory], self.second_bytes if f["gather"] else self.hw.record_bytes[memory]
        rows = f["y_pad_top"] + f["y_size"] + f["y_pad_bottom"]
        columns = f["x_pad_left"] + f["x_size"] + f["x_pad_right"]
        block = np.zeros((rows, columns, f["z_size"], *pad.shape[1:]), dtype=np.int64)
        for y in range(f["y_size"]):
            for x in range(f["x_size"]):
                start = f["dram_base"] + (y * f["y_stride"] + x * f["x_stride"]) * size
                if f["gather"]:
                    for lane in range(f["lanes"]):
                        first = start + lane * f["lane_stride"] * size
                        records = self.dram[first : first + f["z_size"] * size].reshape(f["z_size"], size)
                        block[f["y_pad_top"] + y, f["x_pad_left"] + x, :, lane] = self.parse_second(
                            records, f["gather_unsigned"]
                        )
                    continue
                assert start + f["z_size"] * size <= len(self.dram)
                records = self.dram[start : start + f["z_size"] * size].reshape(f["z_size"], size)
                block[f["y_pad_top"] + y, f["x_pad_left"] + x] = self.parse(memory, records)
        flat = block.reshape(-1, *pad.shape[1:])
        assert 0 < len(flat) <= len(pad) - f["sram_base"]
        entries = slice(f["sram_base"], f["sram_base"] + len(flat))
        pad[entries] = flat
        self.writes(memory, entries)

    def parse_second(self, records: np.ndarray, unsigned: int) -> np.ndarray:
        v = self.hw.vector_size
        values = self.unpack(records, self.second_widths)
        # Bits that are there, then those that weights have.
        values[:, :v] = to_signed(values[:, :v], self.hw.weight_bits if unsigned else self.second_bits)
        assert self.hw.precision_passes > 1 or values[:, :v].min() > -(1 << (self.second_bits - 1))
        return values

    def weights(self, entries: np.ndarray, unsigned: int) -> tuple[np.ndarray, np.ndarray]:
        """Elements and scales."""
        w = self.pads["wgt"][entries]
        elements = w[..., :-1]
        return elements % (1 << self.hw.weight_bits) if unsigned else elements, w[..., -1]

    def parse(self, memory: str, records: np.ndarray) -> np.ndarray:
        v, bo = self.hw.vector_size, self.hw.output_lanes
        if memory == "acc":
            return np.ascontiguousarray(records).view("<i4").astype(np.int64)
        if memory == "uop":
            return np.array(decode_uops(records.tobytes(), self.hw), dtype=np.int64)
        if memory == "inp":
            return self.unpack(records, self.vector_widths)
        if memory == "par":
            fields = records.reshape(-1, bo, 11).astype(np.int64)
            mult = fields[..., 0] | fields[..., 1] << 8
            words = [sum(fields[..., at + i] << (8 * i) for i in range(4)) for at in (3, 7)]
            return np.stack([mult, fields[..., 2], *(to_signed(word, 32) for word in words)], axis=-1)
        values = bits_to_ints(records, self.weight_widths * bo).reshape(len(records), bo, -1)
        if not self.hw.weight_scale_bits:
            values = np.concatenate([values, np.ones((len(records), bo, 1), np.int64)], axis=2)
        values[..., :v] = to_signed(values[..., :v], self.hw.weight_bits)
        return values

    def store(self, f: dict[str, int]) -> None:
        memory = STORE_MEMORIES[f["mem"]]
        size, entry = self.second_bytes if f["second"] else self.hw.record_bytes[memory], f["sram_base"]
        for y in range(f["y_size"]):
            for x in range(f["x_size"]):
                values = self.pads[memory][entry : entry + f["z_size"]]
                assert len(values) == f["z_size"]
                self.reads(memory, slice(entry, entry + f["z_size"]))
                if f["second"]:
                    data = ints_to_bits(values[:, : len(self.second_widths)], self.second_widths, size)
                elif memory == "out":
                    data = ints_to_bits(values[:, : len(self.vector_widths)], self.vector_widths, size)
                else:
                    data = values.astype("<i4").view(np.uint8)
                start = f["dram_base"] + (y * f["y_stride"] + x * f["x_stride"]) * size
                assert start + data.size <= len(self.dram)
                self.dram[start : start + data.size] = data.reshape(-1)
                entry += f["z_size"]

    def micro_ops(self, f: dict[str, int], *pads: str) -> dict[str, np.ndarray]:
        """The entry of each of these scratchpads, for every micro-op of every iteration, in order."""
        outer, inner, uop = np.meshgrid(
            *(np.arange(f[n]) for n in ("iter_out", "iter_in", "uop_count")), indexing="ij"
        )
        index = {}
        for column, pad in enumerate(pads):
            base = self.pads["uop"][f["uop_begin"] + uop, column]
            index[pad] = (base + outer * f[pad + "_out"] + inner * f[pad + "_in"]).reshape(-1)
        self.reads("uop", slice(f["uop_begin"], f["uop_begin"] + f["uop_count"]))
        return index

    def gemm(self, f: dict[str, int]) -> None:
        index = self.micro_ops(f, "acc", "inp", "wgt")
        if f["reset"]:
            self.pads["acc"][index["acc"]] = 0
            self.writes("acc", index["acc"])
            return
        fresh = np.zeros((f["iter_out"], f["iter_in"], f["uop_count"]), bool)
        outer = slice(1 if f["out_reduces"] else None), slice(1 if f["in_reduces"] else None)
        fresh[(*outer, slice(f["fresh_uops"]))] = True
        begun = index["acc"][fresh.reshape(-1)]
        self.pads["acc"][begun] = 0
        self.reads("acc", np.setdiff1d(index["acc"], begun))
        for pad in ("inp", "wgt"):
            self.reads(pad, index[pad])
        self.writes("acc", index["acc"])
        x, (w, weight_scale) = self.pads["inp"][index["inp"]], self.weights(index["wgt"], f["wgt_unsigned"])
        elements = x[:, :-1] if f["act_unsigned"] else to_signed(x[:, :-1], self.hw.activation_bits)
        scale = weight_scale * x[:, None, -1]
        if self.hw.product_shift:
            scale = (scale + (1 << (self.hw.product_shift - 1))) >> self.hw.product_shift
            scale = np.minimum(scale, (1 << self.hw.product_bits) - 1)
        if f["unscaled"]:
            scale = np.ones_like(scale)
        sums = scale * np.einsum("nbv,nv->nb", w, elements) << f["shift"]
        np.add.at(self.pads["acc"], index["acc"], sums)

    def dwconv(self, f: dict[str, int]) -> None:
        """Channel by channel and tap by tap, in micro-ops on channel groups."""
        v, bo = self.hw.vector_size, self.hw.output_lanes
        blocks, vectors = max(1, v // bo) - f["skip_blocks"], max(1, bo // v)
        rows, columns = f["tap_rows"], f["tap_columns"]
        assert blocks > 0
        index = self.micro_ops(f, "acc", "inp", "wgt")
        groups = index["acc"][:, None] + np.arange(blocks)
        assert len(np.unique(groups)) == groups.size
        run = columns if f["row_vectors"] else rows * columns
        per_run = -(-run // v)
        per_block = (rows if f["row_vectors"] else 1) * per_run
        total = np.zeros((len(groups), blocks, bo), np.int64)
        for t in range(rows * columns):
            at = index["inp"] + t // columns * f["row_step"] + t % columns * f["column_step"]
            sources = at[:, None] + np.arange(vectors)
            self.reads("inp", sources)
            x = self.pads["inp"][sources]
            elements = x[..., :-1] if f["act_unsigned"] else to_signed(x[..., :-1], self.hw.activation_bits)
            values = (elements * x[..., -1:]).reshape(len(groups), -1)[:, : blocks * bo]
            entry, lane = t // run * per_run + t % run // v, t % run % v
            weights = index["wgt"][:, None] + np.arange(blocks) * per_block + entry
            self.reads("wgt", weights)
            w, weight_scale = self.weights(weights, f["wgt_unsigned"])
            total += values.reshape(total.shape) * w[..., lane] * weight_scale
        total <<= f["shift"]
        if f["accumulate"]:
            self.reads("acc", groups)
            total += self.pads["acc"][groups]
        self.pads["acc"][groups] = total
        self.writes("acc", groups)

    def vec(self, f: dict[str, int]) -> None:
        """Its micro-ops are on channel groups: some neighbouring blocks, and some neighbouring vectors."""
        v, bo = self.hw.vector_size, self.hw.output_lanes
        blocks, vectors = max(1, v // bo) - f["skip_blocks"], max(1, bo // v)
        assert blocks > 0
        operation, is_imm = f["op"], f["src"] == 1
        index = self.micro_ops(f, "acc", "inp")
        groups = index["acc"][:, None] + np.arange(blocks)
        if f["src"] == 2 or operation in (7, 8):
            self.rows_of_acc(f, groups, index["inp"])
            return
        if is_imm:
            values = np.full((*groups.shape, bo), f["imm"])
        else:
            sources = index["inp"][:, None] + np.arange(vectors * (f["digits"] + 1))
            self.reads("inp", sources)
            x = self.vectors(sources.reshape(len(groups), vectors, -1), f["src_unsigned"])
            values = x.reshape(len(groups), -1)[:, : blocks * bo]
            values = values.reshape(*groups.shape, bo)
        if operation == 0:
            self.pads["acc"][groups] = values  # the last one stays
        else:
            self.reads("acc", groups)
            if operation == 3:
                assert not is_imm
                values = values * f["imm"]
            if operation == 5:
                for group, factors in zip(groups, values, strict=True):
                    self.pads["acc"][group] = rhu(
                        self.pads["acc"][group].astype(object) * factors, f["shift"]
                    )
            elif operation == 6:
                entries = np.arange(f["tab_base"], f["tab_base"] + -(-128 // bo))
                self.reads("par", entries)
                _, _, value, slope = (self.pads["par"][entries].reshape(-1, 4)[:128]).T
                for group in groups:
                    argument = rhu(self.pads["acc"][group].astype(object) - f["imm"], f["shift"])
                    place = np.clip(argument, -(1 << 15), (1 << 15) - 1).astype(np.int64) + (1 << 15)
                    rise = rhu(slope[place // 512] * (place % 512), 9)
                    self.pads["acc"][group] = value[place // 512] + rise
            else:
                combine = {1: np.maximum, 2: np.add, 3: np.add, 4: np.minimum}[operation]
                combine.at(self.pads["acc"], groups, values)
            limit = 1 << (self.hw.accumulator_bits - 1)
            assert -limit <= self.pads["acc"][groups].min() <= self.pads["acc"][groups].max() < limit
        self.writes("acc", groups)

    def vectors(self, entries: np.ndarray, unsigned: int) -> np.ndarray:
        """Element times scale of vectors of inp, whose digits are in entries[..., digits]: [..., V]."""
        x = self.pads["inp"][entries]
        return joined(x[..., :-1], self.hw.activation_bits, not unsigned) * x[..., 0, -1:]

    def saturated(self, values: np.ndarray) -> np.ndarray:
        limit = 1 << 31
        return np.clip(values, -limit, limit - 1)

    def looked_up(self, base: int, place: np.ndarray) -> np.ndarray:
        entries = np.arange(base, base + -(-128 // self.hw.output_lanes))
        self.reads("par", entries)
        _, _, value, slope = self.pads["par"][entries].reshape(-1, 4)[:128].T
        return value[place // 512] + rhu(slope[place // 512] * (place % 512), 9)

    def rows_of_acc(self, f: dict[str, int], groups: np.ndarray, sources: np.ndarray) -> None:
        """Group by group, with an immediate or the lanes of another group, all of which are read first."""
        acc = self.pads["acc"]
        for group, source in zip(groups, sources, strict=True):
            read = source + np.arange(len(group))
            s = acc[read].astype(object) if f["src"] == 2 else f["imm"]
            if f["src"] == 2:
                self.reads("acc", read)
            if f["op"] != 0:
                self.reads("acc", group)
            lane = acc[group].astype(object)
            if f["op"] == 6:
                place = np.clip(rhu(lane - s, f["shift"]), -(1 << 15), (1 << 15) - 1).astype(np.int64)
                acc[group] = self.looked_up(f["tab_base"], place + (1 << 15))
            else:
                results = {
                    0: s,
                    1: np.maximum(lane, s),
                    2: self.saturated(lane + s),
                    4: np.minimum(lane, s),
                    7: self.saturated(lane - s),
                    8: self.saturated(rhu(lane * (s & 65535), s >> 16 & 63)),
                }
                acc[group] = results[f["op"]]
            self.writes("acc", group)

    def reduce(self, f: dict[str, int]) -> None:
        """Row by row, in exact integers."""
        bo, acc, uops = self.hw.output_lanes, self.pads["acc"], self.pads["uop"]
        self.reads("uop", slice(f["uop_begin"], f["uop_begin"] + f["uop_count"]))
        for o in range(f["iter_out"]):
            for result, first, _ in uops[f["uop_begin"] : f["uop_begin"] + f["uop_count"]].tolist():
                entries = first + o * f["inp_out"] + np.arange(f["iter_in"]) * f["inp_in"]
                self.reads("acc", entries)
                row = acc[entries].reshape(-1)[: (f["iter_in"] - 1) * bo + f["last_lanes"]].astype(object)
                if f["op"] == 0:
                    total = int(row.max())
                elif f["op"] == 1:
                    total = int(np.clip(row, -(2**31), 2**31 - 1).sum())
                else:
                    total = int((np.clip(rhu(row, f["shift"]), -(2**17), 2**17 - 1) ** 2).sum())
                group = result + o * f["acc_out"] + np.arange(max(1, self.hw.vector_size // bo))
                acc[group] = self.row_result(f, total)
                self.writes("acc", group)

    def row_result(self, f: dict[str, int], total: int) -> int:
        if f["to"] == 0:
            return int(self.saturated(np.array(total + f["imm"], object)))
        if f["to"] == 1:
            return int(self.saturated(rhu(np.array(total * f["mult"], object), f["exponent"])))
        x = max(total + f["imm"], 1)
        e = x.bit_length() - 17
        t = (x >> e if e >= 0 else x << -e) - 2**16
        k = e
        if f["to"] == 3:
            t, k = (t >> 1) + (e % 2 << 15), e // 2
        m = int(np.clip(self.looked_up(f["tab_base"], np.array([t]))[0], 0, 65535))
        return m + (min(max(f["exponent"] + k, 0), 62) << 16)

    @staticmethod
    def fitted(rows: np.ndarray, width: int) -> np.ndarray:
        """Rows of so many columns: cut, or filled up with zeros."""
        return np.pad(rows[:, :width], ((0, 0), (0, max(0, width - rows.shape[1]))))

    def ppu(self, f: dict[str, int]) -> None:
        v, bo, bits = self.hw.vector_size, self.hw.output_lanes, self.hw.activation_bits
        pixels, blocks = f["pixels"], f["blocks"]
        first, per_pixel = f["acc_base"], -(-blocks * bo // v) - f["skip_vectors"] * (not f["transpose"])
        vectors = pixels * per_pixel
        assert per_pixel > 0
        assert first + pixels * blocks <= len(self.pads["acc"])
        acc = self.pads["acc"][first : first + pixels * blocks].reshape(pixels, blocks, bo)
        par = self.pads["par"][f["par_base"] : f["par_base"] + blocks]
        self.reads("acc", slice(first, first + pixels * blocks))
        self.reads("par", slice(f["par_base"], f["par_base"] + blocks))
        total = rhu(acc * par[..., 0], np.broadcast_to(par[..., 1], acc.shape)) + par[..., 2]
        if f["residual"]:
            entries = f["res_base"] + np.arange(vectors * (f["res_digits"] + 1))
            self.reads("inp", entries)
            res = self.vectors(entries.reshape(vectors, -1), f["res_unsigned"])
            addend = self.fitted(res.reshape(pixels, -1), blocks * bo)
            total = total + rhu(addend.reshape(acc.shape) * f["res_mult"], f["res_shift"])
        y = np.clip(total.astype(object), -(2**31), 2**31 - 1).astype(np.int64)
        y = np.minimum(np.maximum(y, 0) if f["relu"] else y, par[..., 3])
        if f["wide"]:
            self.pads["acc"][first : first + pixels * blocks] = y.reshape(-1, bo)
            self.writes("acc", slice(first, first + pixels * blocks))
            return
        scale_bits, element_bits = self.hw.activation_scale_bits or 0, bits
        if f["second"]:
            scale_bits, element_bits = sum(self.second_widths[v:]), self.second_bits
        digit_bits = element_bits
        if f["out_bits"]:
            scale_bits, element_bits = f["out_scale_bits"], f["out_bits"]
        high = 2**element_bits - 1 if f["out_unsigned"] else 2 ** (element_bits - 1) - 1
        if f["transpose"]:
            columns = y.reshape(pixels, -1).T[: blocks * bo - f["skip_vectors"]]
            rows = self.fitted(columns, -(-pixels // v) * v).reshape(-1, v)
            vectors = len(rows)
        else:
            rows = self.fitted(y.reshape(pixels, -1), per_pixel * v).reshape(vectors, v)
        scale = np.ones((vectors, 1), np.int64)
        if scale_bits:
            top = np.abs(rows).max(axis=1, keepdims=True)
            scale = np.clip(-(-top // (high << self.hw.guard_bits)), 1, 2**scale_bits - 1)
        step = scale << self.hw.guard_bits
        q = np.clip((2 * rows + step) // (2 * step), 0 if f["out_unsigned"] else -high, high)
        digits = f["digits"] + 1
        q = split(q, digit_bits, digits).reshape(vectors * digits, v)
        out = np.concatenate([q & ((1 << bits) - 1), np.repeat(scale, digits, axis=0)], axis=1)
        self.pads["out"][f["out_base"] : f["out_base"] + len(out)] = out
        self.writes("out", slice(f["out_base"], f["out_base"] + len(out)))


def run_in_order(machine: Machine) -> None:
    """Execute in program order, ignoring tokens."""
    for number, insn in enumerate(machine.insns):
        machine.execute(number, insn)


def run_interleaved(
    machine: Machine, seed: int, insns: list[Insn] | None = None, prefer: tuple[str, ...] = ()
) -> None:
    """Execute as far as tokens allow, always choosing an engine at random; assert that all ran and no token
    is left.
    """
    choose = random.Random(seed)
    queues: dict[str, deque[tuple[int, Insn]]] = {engine: deque() for engine in ENGINES}
    for number, insn in enumerate(insns or machine.insns):
        queues[ENGINE[insn.name]].append((number, insn))
    tokens = {(a, b): 0 for a in ENGINES for b in ENGINES}
    favourite, depth = choose.choice(ENGINES), machine.hw.timing.token_queue_depth
    while any(queues.values()):
        ready = []
        for engine, queue in queues.items():
            room = queue and all(tokens[edge] < depth for edge in _edges(queue[0][1], engine, "push"))
            if room and all(tokens[edge] for edge in _edges(queue[0][1], engine, "pop")):
                ready.append(engine)
        assert ready, f"deadlock at { {e: q[0] for e, q in queues.items() if q} }"
        if choose.random() < 0.1:
            favourite = choose.choice(ENGINES)
        engine = favourite if favourite in ready else choose.choice(ready)
        engine = next((wanted for wanted in prefer if wanted in ready), engine)
        number, insn = queues[engine].popleft()
        for edge in _edges(insn, engine, "pop"):
            tokens[edge] -= 1
        machine.execute(number, insn)
        for edge in _edges(insn, engine, "push"):
            tokens[edge] += 1
        if insn.name == "FINISH":
            assert not any(queues.values()), "instructions are left after FINISH"
    assert not any(tokens.values()), f"tokens are left: {tokens}"


def _edges(insn: Insn, engine: str, kind: str) -> list[tuple[str, str]]:
    others = [other for other in ENGINES if f"{kind}_{other}" in insn.tokens]
    return [(other, engine) if kind == "pop" else (engine, other) for other in others]
