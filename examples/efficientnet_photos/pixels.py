"""Pictures as EfficientNet-Lite wants them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

SIZE = 224


def pixels(paths: Sequence[Path]) -> npt.NDArray[np.float32]:
    """float32 [n, 3, 224, 224], (value - 127) / 128, as EfficientNet-Lite was trained.

    Photographs: the shorter side to 256 pixels, then the middle. Cut-outs: the whole object on white.
    """
    return np.stack([_read(path) for path in paths])


def _read(path: Path) -> npt.NDArray[np.float32]:
    image = Image.open(path)
    if image.mode in ("RGBA", "LA", "P"):
        cut_out = image.convert("RGBA")
        side = max(cut_out.size)
        square = Image.new("RGBA", (side, side), "white")
        square.alpha_composite(cut_out, ((side - cut_out.width) // 2, (side - cut_out.height) // 2))
        square = square.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    else:
        scale = 256 / min(image.size)
        resized = image.convert("RGB").resize(
            (round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC
        )
        left, top = (resized.width - SIZE) // 2, (resized.height - SIZE) // 2
        square = resized.crop((left, top, left + SIZE, top + SIZE))
    return ((np.asarray(square, np.float32) - 127) / 128).transpose(2, 0, 1)
