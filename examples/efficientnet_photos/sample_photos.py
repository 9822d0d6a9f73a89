"""Photos inside packages: some to show, others to calibrate on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from packages import package

_SAMPLES = ("chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png")
_SHOWN_OF_IMAGENET = 8


@dataclass(frozen=True)
class SamplePhotos:
    """Paths of photos; none is in both."""

    shown: tuple[Path, ...]
    calibration: tuple[Path, ...]


def load_photos() -> SamplePhotos:
    """Twelve to show: four sample photos of scikit-image, then the first eight of foolbox's twenty from
    ImageNet, whose names end in their class. To calibrate on: the other twelve of those.

    The first time they are fetched: RuntimeError when they cannot be had.
    """
    samples = [package("scikit-image") / "skimage/data" / name for name in _SAMPLES]
    imagenet = sorted((package("foolbox") / "foolbox/data").glob("imagenet_*.jpg"))
    shown, others = imagenet[:_SHOWN_OF_IMAGENET], imagenet[_SHOWN_OF_IMAGENET:]
    return SamplePhotos(shown=(*samples, *shown), calibration=tuple(others))
