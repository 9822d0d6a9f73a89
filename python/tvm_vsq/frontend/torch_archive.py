"""Reads torch.export archives, whose results may be of classes that a package registers with torch."""

from __future__ import annotations

import importlib
import re
import zipfile
from pathlib import Path

import torch
from torch.export import ExportedProgram

from tvm_vsq.errors import ModelError, first_line

_OF_TRANSFORMERS = re.compile(rb"transformers(?:\.[A-Za-z_][A-Za-z_0-9]*)+")
_LARGEST_GRAPH = 1 << 30


class NotAnArchive(ValueError):
    """The file is no archive of torch.export."""


def read_archive(path: Path) -> ExportedProgram:
    """What torch.export.save wrote to `path`.

    What a stock model of Hugging Face returns is known to torch once a module of transformers is imported.
    Raises NotAnArchive for another file, ModelError where transformers is missing or the archive has a class
    that nothing registers.
    """
    missing = [name for name in _transformers_classes(path) if not _is_imported(name)]
    try:
        return torch.export.load(path)
    except Exception as error:
        if missing:
            raise ModelError(
                f"the model in '{path}' returns or takes a '{missing[0]}', which torch knows once "
                "transformers is imported, and here it cannot be: install transformers in the version that "
                "wrote the model, or export the model with return_dict=False"
            ) from error
        raise NotAnArchive(first_line(error)) from error


def _transformers_classes(path: Path) -> list[str]:
    """The classes of transformers that the graphs of an archive name."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if not any(name.endswith(("archive_format", "serialized_exported_program.json")) for name in names):
            raise NotAnArchive("it is an archive of something else, as torch.save writes")
        graphs = [
            archive.read(entry)
            for entry in archive.infolist()
            if entry.filename.endswith(".json") and entry.file_size <= _LARGEST_GRAPH
        ]
    spec = re.compile(rb'\\*"type\\*": \\*"(' + _OF_TRANSFORMERS.pattern + rb')\\*"')
    return sorted({match.group(1).decode() for graph in graphs for match in spec.finditer(graph)})


def _is_imported(name: str) -> bool:
    """Import the module of a class of transformers, which registers it; whether that is there."""
    try:
        return hasattr(importlib.import_module(name.rpartition(".")[0]), name.rpartition(".")[2])
    except Exception:  # whatever a package does while it is imported
        return False
