"""The seal at the end of a saved artifact: what is damaged must be noticed before it is loaded as code."""

from __future__ import annotations

import hashlib
import os
import stat
import struct
from pathlib import Path
from typing import BinaryIO

from tvm_vsq.errors import InputError, ProgramError

# Magic, version and length of the library, little-endian; then the SHA-256 digest of everything before it.
_HEADER = struct.Struct("<8sIQ")
_MAGIC = b"VSQSEAL\n"
_VERSION = 1
_DIGEST_BYTES = hashlib.sha256().digest_size
_SEAL_BYTES = _HEADER.size + _DIGEST_BYTES
_CHUNK_BYTES = 1 << 20

MAX_LIBRARY_BYTES = 1 << 31
"""Code and data of a library reach each other within 2 GiB."""


def append_seal(file: Path) -> None:
    """Seal a shared library in place. Loaders ignore what lies behind the parts that an ELF file names."""
    with file.open("rb+") as stream:
        length = os.fstat(stream.fileno()).st_size
        if length > MAX_LIBRARY_BYTES:
            raise OSError(f"the model takes {length} bytes, and an artifact has at most {MAX_LIBRARY_BYTES}")
        header = _HEADER.pack(_MAGIC, _VERSION, length)
        digest = hashlib.file_digest(stream, "sha256")
        digest.update(header)
        stream.write(header + digest.digest())


def copy_sealed(file: Path, copy: Path) -> None:
    """Copy the library in a sealed file, in constant memory.

    Raises InputError for what is no file or cannot be read, ProgramError if any byte differs from what was
    saved, or if the file was never sealed, OSError where the copy cannot be written.
    """
    with _open_regular(file) as source:
        length = _sealed_length(source)
        digest, left = hashlib.sha256(), length
        source.seek(0)
        with copy.open("wb") as target:
            while chunk := source.read(min(left, _CHUNK_BYTES)):
                digest.update(chunk)
                target.write(chunk)
                left -= len(chunk)
        digest.update(source.read(_HEADER.size))
        if left or digest.digest() != source.read():
            raise _refusal("it is damaged, its checksum does not match")


def _open_regular(file: Path) -> BinaryIO:
    try:
        # Opening a FIFO would wait for a writer.
        stream = os.fdopen(os.open(file, os.O_RDONLY | os.O_NONBLOCK), "rb")
    except FileNotFoundError:
        raise InputError("there is no such file") from None
    except IsADirectoryError:
        raise InputError("it is a folder") from None
    except OSError as error:
        raise InputError(f"{error.strerror}") from None
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise InputError("it is no file, but a device or a pipe")
    if file.suffix != ".so":
        stream.close()
        raise InputError("the file name must end in .so, as Executable.save and tvm-vsq compile write it")
    return stream


def _sealed_length(source: BinaryIO) -> int:
    """Bytes of the library, as the seal has it. What shows without reading the whole file is found here."""
    size = os.fstat(source.fileno()).st_size
    if size > MAX_LIBRARY_BYTES + _SEAL_BYTES:
        raise _refusal(f"it has {size} bytes, and artifacts have at most {MAX_LIBRARY_BYTES}")
    source.seek(max(0, size - _SEAL_BYTES))
    seal = source.read(_SEAL_BYTES)
    if len(seal) < _SEAL_BYTES or not seal.startswith(_MAGIC):
        raise _refusal("it is damaged, cut short, or not written by Executable.save")
    _, version, length = _HEADER.unpack_from(seal)
    if version != _VERSION:
        raise _refusal(f"its format is version {version}, this library reads {_VERSION}")
    if length != size - _SEAL_BYTES:
        raise _refusal(f"it is damaged, its library had {length} bytes when it was saved")
    return int(length)


def _refusal(reason: str) -> ProgramError:
    return ProgramError(f"{reason}; save the model again with Executable.save")
