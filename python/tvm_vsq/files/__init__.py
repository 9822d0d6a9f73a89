"""Files as users name them: what may be written, written whole; what may be read, read with limits."""

from tvm_vsq.files.paths import PLOTS, as_path, check_output, check_output_folder
from tvm_vsq.files.reading import parse_json, parse_yaml, read_text
from tvm_vsq.files.writing import locked, private_folder, replacing, write_text

__all__ = [
    "PLOTS",
    "as_path",
    "check_output",
    "check_output_folder",
    "locked",
    "parse_json",
    "parse_yaml",
    "private_folder",
    "read_text",
    "replacing",
    "write_text",
]
