"""What is done once a library that takes long to import is there; nothing is imported for it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType


def when_imported(library: str, act: Callable[[], object]) -> None:
    """Call `act` now if `library` is imported, else as soon as someone has imported it."""
    if library in sys.modules:
        act()
    else:
        sys.meta_path.insert(0, _Watch(library, act))


class _Watch(MetaPathFinder):
    """Finds nothing itself: it waits for its library to be imported by the finders behind it."""

    def __init__(self, library: str, act: Callable[[], object]) -> None:
        self._library, self._act = library, act
        self._is_asking = False

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._library or self._is_asking:
            return None
        self._is_asking = True
        try:
            spec = find_spec(fullname)
        finally:
            self._is_asking = False
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def execute_then_act(module: ModuleType) -> None:
            execute(module)
            if self in sys.meta_path:  # else it was imported before, and this is a reload
                sys.meta_path.remove(self)
                self._act()

        spec.loader.exec_module = execute_then_act  # type: ignore[method-assign]
        return spec
