"""The seal at the end of a saved artifact: what is damaged must be noticed before it is loaded as code."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

from tvm_vsq.errors import ProgramError

# Magic, version and length of the library, little-endian; then the SHA-256 digest of everything before it.
_HEADER = struct.Struct("<8sIQ")
_MAGIC = b"VSQSEAL\n"
_VERSION = 1
_SEAL_BYTES = _HEADER.size + hashlib.sha256().digest_size


def append_seal(file: Path) -> None:
    """Seal a shared library in place. Loaders ignore what lies behind the parts that an ELF file names."""
    with file.open("rb+") as stream:
        library = stream.read()
        header = _HEADER.pack(_MAGIC, _VERSION, len(library))
        stream.write(header + hashlib.sha256(library + header).digest())


def read_sealed(file: Path) -> bytes:
    """The content of a sealed file, seal included.

    Raises ProgramError if any byte differs from what was saved, or if the file was never sealed.
    """
    content = file.read_bytes()
    remedy = "save the model again with Executable.save"
    if len(content) < _SEAL_BYTES or content[-_SEAL_BYTES:][: len(_MAGIC)] != _MAGIC:
        raise ProgramError(
            f"cannot load '{file}': it is damaged, cut short, or not written by Executable.save; {remedy}"
        )
    _, version, length = _HEADER.unpack_from(content, len(content) - _SEAL_BYTES)
    if version != _VERSION:
        raise ProgramError(
            f"cannot load '{file}': its format is version {version}, this library reads {_VERSION}; {remedy}"
        )
    digest = content[-hashlib.sha256().digest_size :]
    if length != len(content) - _SEAL_BYTES or hashlib.sha256(content[: -len(digest)]).digest() != digest:
        raise ProgramError(f"cannot load '{file}': it is damaged, its checksum does not match; {remedy}")
    return content
