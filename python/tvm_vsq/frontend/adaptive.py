"""The windows of adaptive pools."""

from __future__ import annotations


def adaptive_windows(extent: int, results: int) -> list[tuple[int, int]]:
    """(first, end) of the pixels along an axis that each result is over, as torch has it."""
    return [(at * extent // results, -(-(at + 1) * extent // results)) for at in range(results)]


def runs_of(windows: list[tuple[int, int]]) -> list[tuple[int, int, int, int]]:
    """(first, size, stride, count) of neighbouring windows of one size, as far apart as each other."""
    runs: list[tuple[int, int, int, int]] = []
    for first, end in windows:
        if runs:
            start, size, stride, count = runs[-1]
            step = first - start - (count - 1) * stride
            if size == end - first and step > 0 and (count == 1 or step == stride):
                runs[-1] = (start, size, step, count + 1)
                continue
        runs.append((first, end - first, 1, 1))
    return runs
