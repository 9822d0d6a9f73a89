"""What is frozen of a compiled network, as hashes. All that depends on tvm_vsq's insides is in this file.

A *kind* of fact has a SHA-256 of the whole network; the kinds that belong to layers also a short hash for
each layer, which says where a difference begins.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from tests.frozen.networks import NETWORKS, Network

import tvm_vsq
from tvm_vsq.hardware.events import EVENTS
from tvm_vsq.runtime import native

BY_LAYER = ("instructions", "decoded", "fields", "micro-ops", "image", "timing", "events", "energy")
"""instructions: encoded words. decoded: the same as text, names, fields and tokens. fields: the text without
tokens, and without instructions that only order others: what stays in another encoding. micro-ops, image: the
bytes of the initial DRAM that the layer's LOADs read (image: weights and parameters). timing: cycles, busy
cycles of each unit, stalls and their causes. events: what the simulator counted. energy: picojoule by kind, 9
digits."""

WHOLE = ("layer names", "whole image", "placement", "results")
"""layer names: with their order. whole image: all initial DRAM, and where inputs and outputs lie. placement:
the text of explain(). results: what the network computes from seeded inputs, on the accelerator and beside
it."""

_SHORT = 6
_LINE = re.compile(r"(?P<text>.*)  # \d+ (?P<layer>.*)")
_TOKENS = re.compile(r" (pop|push)_\w+")
_ORDERING = ("SYNC", "FINISH")
_LOAD = re.compile(r"LOAD\.(?P<memory>\w+) .*?(dram_base=(?P<address>\d+)|$)")
_IMAGE_MEMORIES = {"uop": "micro-ops", "wgt": "image", "par": "image"}


def record(network: str, target: str) -> dict[str, Any]:
    """Hashes of `network` (of NETWORKS) compiled for `target`: {"whole": {kind: SHA-256}, "layers": [line]}.

    A line is the layer's name and the short hashes in the order of BY_LAYER.
    """
    made = NETWORKS[network]()
    with _native_programs() as programs:
        exe = _compile(made, target)
    facts = _facts(exe, programs)
    results = exe(made.inputs)
    whole = {kind: _sha256("\n".join(_sha256(facts[layer][kind]) for layer in facts)) for kind in BY_LAYER}
    whole["layer names"] = _sha256("\n".join(facts))
    layout = "".join(f"{p['name']} {p['dram_bytes']} {p['inputs']} {p['outputs']}\n" for p in programs)
    whole["whole image"] = _sha256(layout.encode() + b"".join(p["image"] for p in programs))
    whole["placement"] = _sha256("\n".join(_placement(row) for row in exe.explain()))
    whole["results"] = _sha256(
        b"".join(_bytes(y) for y in (results if isinstance(results, tuple) else (results,)))
    )
    lines = [
        f"{layer}: {' '.join(_sha256(kinds[kind])[:_SHORT] for kind in BY_LAYER)}"
        for layer, kinds in facts.items()
    ]
    return {"whole": whole, "layers": lines}


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What changed, a line for each kind, with the first layer in which it did."""
    names = [line.split(": ")[0] for line in new["layers"]]
    found = []
    for kind in (*WHOLE, *BY_LAYER):
        if old["whole"][kind] == new["whole"][kind]:
            continue
        where = ""
        if kind in BY_LAYER:
            column = BY_LAYER.index(kind)
            pairs = zip(old["layers"], new["layers"], strict=False)
            changed = [
                n for n, (a, b) in zip(names, pairs, strict=False) if _short(a, column) != _short(b, column)
            ]
            where = f", in {len(changed)} of {len(names)} layers, first in '{changed[0]}'" if changed else ""
        found.append(f"{kind} changed{where}")
    return found


def _short(line: str, column: int) -> str:
    return line.rpartition(": ")[2].split()[column]


def _compile(network: Network, target: str) -> tvm_vsq.Executable:
    """With the shipped schedules, where there are some, and with nothing fitted to data but ranges."""
    hardware = tvm_vsq.load_hardware(target)
    return tvm_vsq.compile(
        network.module,
        hardware,
        quant=tvm_vsq.QuantConfig.of_hardware(hardware).unfitted(),
        calibration=network.calibration,
        check_import=False,
    )


@contextmanager
def _native_programs() -> Iterator[list[Mapping[str, Any]]]:
    """A list that takes in the programs that the compiler gives to the simulator meanwhile."""
    programs: list[Mapping[str, Any]] = []
    create = native.create_module

    def create_module(params: Any, given: Any, *args: Any, **options: Any) -> Any:
        programs.extend(given)
        return create(params, given, *args, **options)

    native.create_module = create_module
    try:
        yield programs
    finally:
        native.create_module = create


def _facts(exe: tvm_vsq.Executable, programs: list[Mapping[str, Any]]) -> dict[str, dict[str, bytes]]:
    """By layer, in the order of the programs, and kind."""
    listing = exe.disassemble().splitlines()
    lines = [match for match in map(_LINE.fullmatch, listing) if match]
    events = [row for run in exe._accelerator["get_timing"]() for row in run["events"]]
    profile = exe.timing()
    facts: dict[str, dict[str, bytes]] = {}
    at = 0
    for program in programs:
        ids = np.frombuffer(program["layer_ids"], "<u4")
        words = np.frombuffer(program["instructions"], np.uint8).reshape(len(ids), -1)
        texts = lines[at : at + len(ids)]
        at += len(ids)
        pieces = _image_pieces(program["image"], [match["text"] for match in texts], ids)
        for number, name in enumerate(program["layer_names"]):
            decoded = [match["text"] for match in texts if match["layer"] == name]
            fields = [_TOKENS.sub("", text) for text in decoded if not text.startswith(_ORDERING)]
            facts[str(name)] = {
                "instructions": words[ids == number].tobytes(),
                "decoded": "\n".join(decoded).encode(),
                "fields": "\n".join(fields).encode(),
                **{kind: pieces.get((number, kind), b"") for kind in ("micro-ops", "image")},
            }
    # The profile lists the layers in the same order.
    for kinds, layer, counts in zip(facts.values(), profile.layers, events, strict=True):
        stalls = [f"{s.unit} {s.waits_for} {s.cause} {s.cycles}" for s in layer.stalls]
        kinds["timing"] = f"{layer.cycles} {layer.busy} {sorted(stalls)}".encode()
        # An event of a later kind, which does not happen here, changes nothing.
        counted = {name: int(count) for name, count in zip(EVENTS, counts, strict=True) if count}
        kinds["events"] = f"{sorted(counted.items())}".encode()
        kinds["energy"] = (
            f"{[(name, f'{pj:.9g}') for name, pj in sorted(layer.energy.items()) if pj]}".encode()
        )
    return facts


def _image_pieces(image: bytes, texts: list[str], layers: Any) -> dict[tuple[int, str], bytes]:
    """The image cut where LOADs of constants begin; by the first layer that reads a piece, and what it is."""
    owners: dict[int, tuple[int, str]] = {}
    for text, layer in zip(texts, layers, strict=True):
        load = _LOAD.match(text)
        if load and load["memory"] in _IMAGE_MEMORIES:
            owners.setdefault(int(load["address"] or 0), (int(layer), _IMAGE_MEMORIES[load["memory"]]))
    cuts = sorted(owners)
    pieces: dict[tuple[int, str], bytes] = {}
    for start, end in zip(cuts, [*cuts[1:], len(image)], strict=True):
        pieces[owners[start]] = pieces.get(owners[start], b"") + image[start:end]
    return pieces


def _placement(row: Any) -> str:
    work = (row.work.macs, row.work.operations, row.work.bytes) if row.work else ()
    return f"{row.op} {row.layer} {row.where} {row.why} {work}"


def _bytes(array: Any) -> bytes:
    return f"{array.dtype} {array.shape} ".encode() + np.ascontiguousarray(array).tobytes()


def _sha256(data: str | bytes) -> str:
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()
