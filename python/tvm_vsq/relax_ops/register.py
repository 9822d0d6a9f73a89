"""Registers an operator with TVM, once per process."""

from __future__ import annotations

from tvm_vsq.network.register import register_op

__all__ = ["register_op"]
