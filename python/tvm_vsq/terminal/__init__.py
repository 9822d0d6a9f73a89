"""How results print: tables and notes as wide as the terminal."""

from tvm_vsq.terminal.printed import Printed
from tvm_vsq.terminal.table import Column, Kind, Table
from tvm_vsq.terminal.width import terminal_width

__all__ = ["Column", "Kind", "Printed", "Table", "terminal_width"]
