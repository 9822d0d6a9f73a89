"""Photos for a network with ImageNet weights: labelled ones to evaluate on, others to calibrate on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from packages import package
from photo_labels import SAMPLES, STAMPS, read

_NO_PHOTOS = re.compile(r"^symbols/|^seasonal/|^town/(roadsigns|flags)|^space/|cartoon|_mirror")


@dataclass(frozen=True)
class Photo:
    path: Path
    classes: frozenset[int] = frozenset()  # empty: not labelled


def labelled() -> list[Photo]:
    """ImageNet photos, sample photos, then single objects cut out of photos, if they can be fetched."""
    return [*_imagenet(), *_samples(), *(photo for photo in _stamps() if photo.classes)]


def unlabelled() -> list[Photo]:
    """Cut-out objects without an ImageNet class, shuffled once and for all."""
    photos = [photo for photo in _stamps() if not photo.classes]
    return [photos[i] for i in np.random.default_rng(0).permutation(len(photos))]


def _imagenet() -> list[Photo]:
    paths = sorted((package("foolbox") / "foolbox/data").glob("imagenet_*.jpg"))
    return [Photo(path, frozenset([int(path.stem.split("_")[2])])) for path in paths]


def _samples() -> list[Photo]:
    folder = package("scikit-image") / "skimage/data"
    return [Photo(next(folder.glob(f"{name}.*g")), classes) for name, classes in read(SAMPLES).items()]


def _stamps() -> list[Photo]:
    try:
        root = next(package("tuxpaint-stamps-default").rglob("stamps"))
    except RuntimeError as error:
        print(f"going on without cut-out photos: {error}")
        return []
    classes = read(STAMPS)
    names = [path.relative_to(root).with_suffix("").as_posix() for path in sorted(root.rglob("*.png"))]
    unknown = classes.keys() - set(names)
    if unknown:
        raise RuntimeError(f"labelled but not in the package: {sorted(unknown)}")
    return [
        Photo(root / f"{name}.png", classes.get(name, frozenset()))
        for name in names
        if name in classes or not _NO_PHOTOS.search(name)
    ]
