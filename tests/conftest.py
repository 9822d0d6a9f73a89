"""Fixtures and settings for all rooms."""

from __future__ import annotations

import functools
import gc
import importlib
import os
import zlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

import hypothesis
import pytest

# Tests run side by side, a process a core (Makefile): threads of torch and TVM that wait for one another on
# busy cores cost ten times what they save. Read when torch and TVM are imported, also by subprocesses.
for _variable in ("OMP_NUM_THREADS", "TVM_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import torch  # noqa: E402 - reads them

# How long an example takes says more about the machine than about the code; runs draw other ones each time.
hypothesis.settings.register_profile("tvm_vsq", deadline=None, max_examples=30)
hypothesis.settings.load_profile("tvm_vsq")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Of long runs, a part."""
    parser.addoption("--part", metavar="K/N", help="one of N parts of the tests, by their names; K from 0 on")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests of other parts."""
    if config.option.part is None:
        return
    part, parts = map(int, config.option.part.split("/"))
    chosen = [item for item in items if zlib.crc32(item.nodeid.encode()) % parts == part]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(chosen)])
    items[:] = chosen


def pytest_collectstart(collector: pytest.Collector) -> None:
    """Modules that draw weights while they are imported draw the same ones in every run."""
    if isinstance(collector, pytest.Module):
        torch.manual_seed(0)


@pytest.fixture(autouse=True)
def seed() -> None:
    """And so do tests: what they bound holds for the numbers they were written with."""
    torch.manual_seed(0)


def pytest_collection_finish() -> None:
    """What imports made stays until the end: the collector need not walk torch and TVM again and again.

    It took a tenth of the time, so it waits: there is memory enough.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


@pytest.fixture(scope="session", autouse=True)
def host_code(pytestconfig: pytest.Config) -> None:
    """Optimizing what stays on the CPU, which is small here, takes half of a test's time, and gives the same
    bits. Large tests run it as users do.
    """
    if pytestconfig.option.markexpr == "not large":
        from tvm.target import Target

        import tvm_vsq.pipeline

        tvm_vsq.pipeline.HOST = Target({"kind": "llvm", "opt-level": 0})


@pytest.fixture(scope="session", autouse=True)
def torch_operators() -> None:
    """torch.export looks through all operators there are, several times a model: a fifth of an import."""
    import torch._export.utils as export
    import torch.export.decomp_utils as decompositions

    found = functools.cache(export._collect_all_valid_cia_ops_for_namespace)
    for module in (export, decompositions):
        module._collect_all_valid_cia_ops_for_namespace = lambda namespace: set(found(namespace))

    def py_impl(operator: Any, key: Any) -> Callable[..., Any]:
        """torch's, for keys of dispatch, and without annotations: these are evaluated for each of the 10,000
        kernels that every import puts in and takes out again.
        """
        if not isinstance(key, torch._C.DispatchKey) or key == torch._C.DispatchKey.Python:
            return annotated(operator, key)

        def inner(kernel: Any) -> Any:
            if key in operator.py_kernels:
                raise RuntimeError(f"Trying to override a python impl for {key} on {operator.name()}")
            operator.py_kernels[key] = kernel
            operator._dispatch_cache.clear()
            return kernel

        return inner

    annotated = torch._ops.OperatorBase.py_impl
    torch._ops.OperatorBase.py_impl = py_impl  # type: ignore[method-assign]


@pytest.fixture(scope="session")
def networks() -> ModuleType:
    """tests/networks.py, imported only by the tests that ask for it: it needs torch."""
    return _helper("networks")


@pytest.fixture(scope="session")
def onnx_models() -> ModuleType:
    """tests/onnx_models.py."""
    return _helper("onnx_models")


@pytest.fixture(scope="session")
def relax_functions() -> ModuleType:
    """tests/relax_functions.py."""
    return _helper("relax_functions")


def _helper(file: str) -> ModuleType:
    return importlib.import_module(f"tests.{file}")
