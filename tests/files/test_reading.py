"""Text of unknown quality ends in what it says, or in one line that names the file, soon."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from tvm_vsq.errors import ConfigError, InputError, VsqError, shown
from tvm_vsq.files import parse_json, parse_yaml, read_text
from tvm_vsq.hardware import load_hardware, load_technology
from tvm_vsq.quantize import QuantConfig
from tvm_vsq.schedule import Database

BOMB = "a: &a [x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(20)
)

JUNK_YAML = {
    "alias bomb": (BOMB, ":2: .*alias; write what it stands for"),
    "alias of itself": ("a: &a [*a]", ":1: .*alias"),
    "merge": ("a: &a {b: 1}\nc: {<<: *a}", ":2: .*alias"),
    "deep": ("[" * 1500, "nested too deeply"),
    "deep mapping": ("{a: " * 5000, "nested too deeply"),
    "long integer": ("a: " + "9" * 5000, ":1: .*is no int"),
    "bool": ("a: 1\nb: !!bool abc", ":2: .*'abc' is no bool"),
    "int": ("a: !!int abc", ":1: .*'abc' is no int"),
    "date": ("a: !!timestamp abc", ":1: .*'abc' is no timestamp"),
    "binary": ("a: !!binary \xe9", ":1: "),
    "python": ("a: !!python/object/apply:os.getcwd []", ":1: could not determine a constructor|:1: .*python"),
    "twice": ("weight_bits: 4\nvector_size: 16\nweight_bits: 8", ":3: .*key 'weight_bits' is given twice"),
    "twice, inside": ("dram:\n  a: 1\n  a: 2", ":3: .*key 'a' is given twice"),
    "two documents": ("a: 1\n---\nb: 2", "expected a single document|:2: "),
    "control character": ("a: \x01", "cannot be read as YAML"),
    "tab": ("a:\n\t- b", ":2: "),
    "list as key": ("? [a]\n: b", "cannot be read as YAML"),
}


@pytest.mark.parametrize("name", JUNK_YAML)
def test_junk_in_yaml_is_one_line_with_file_and_place(tmp_path: Path, name: str) -> None:
    text, message = JUNK_YAML[name]
    file = tmp_path / "junk.yaml"
    file.write_text(text, encoding="utf-8")
    for load in (load_hardware, load_technology):
        with pytest.raises(ConfigError, match=message) as caught:
            load(file)
        (line,) = str(caught.value).splitlines()
        assert line.startswith(str(file))
        assert len(line) < 600


JUNK_JSON = {
    "empty": ("", "must be JSON"),
    "deep": ("[" * 100_000, "nested too deeply"),
    "deep object": ('{"a":' * 100_000, "nested too deeply"),
    "long integer": ('{"version": ' + "9" * 5000 + "}", "must be JSON: .*digits"),
    "nan": ('{"version": NaN}', "NaN is no number"),
    "infinite": ('{"version": 1e999}', "must be JSON: "),
    "twice": ('{"version": 1, "version": 1}', "key 'version' is given twice"),
    "surrogate": ('{"version": "\\ud800"}', "surrogate"),
    "trailing": ("{} {}", "must be JSON"),
    "number": ("4", "object"),
    "list": ("[]", "object"),
    "null": ("null", "object"),
    "no version": ("{}", "version"),
    "version of another type": ('{"version": true}', "version"),
}


@pytest.mark.parametrize("name", JUNK_JSON)
def test_junk_in_json_is_one_line(tmp_path: Path, name: str) -> None:
    text, message = JUNK_JSON[name]
    file = tmp_path / "junk.json"
    file.write_text(text, encoding="utf-8")
    for read in (lambda: Database.load(file), lambda: QuantConfig.from_json(text)):
        with pytest.raises(Exception, match=message) as caught:
            read()
        assert type(caught.value).__module__ == "tvm_vsq.errors"
        assert len(str(caught.value).splitlines()) == 1
        assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"\xff\xfe", "byte 0 is not text in UTF-8"), (b" " * 300_000, "larger than 64 KiB")],
)
def test_a_file_that_is_no_text_of_its_kind(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "junk.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        parse_yaml(file, ConfigError)


def test_an_endless_file_a_folder_and_a_missing_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read '/dev/zero': it is larger than 1,024 KiB"):
        read_text("/dev/zero", limit=1 << 20)
    with pytest.raises(InputError, match="it is a folder"):
        read_text(tmp_path)
    with pytest.raises(InputError, match="No such file"):
        read_text(tmp_path / "none")
    with pytest.raises(InputError, match="File name too long"):
        read_text(tmp_path / ("n" * 300))


def test_a_byte_order_mark_is_no_content(tmp_path: Path) -> None:
    file = tmp_path / "bom.json"
    file.write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert parse_json(read_text(file), "bom") == {"a": 1}


@pytest.fixture(scope="module")
def scratch(tmp_path_factory) -> Path:
    """A file to write examples to."""
    return tmp_path_factory.mktemp("junk") / "junk.yaml"


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(plain)
def test_what_json_writes_is_read_as_it_was(value: Any) -> None:
    assert parse_json(json.dumps(value), "text") == value


@given(plain)
def test_what_yaml_writes_is_read_as_it_was(scratch: Path, value: Any) -> None:
    class Plain(yaml.SafeDumper):
        def ignore_aliases(self, _data: Any) -> bool:
            return True

    scratch.write_text(yaml.dump(value, Dumper=Plain), encoding="utf-8")
    assert parse_yaml(scratch) == value


@given(st.binary() | st.text(alphabet="{}[]:,-&*!<>|? \n\t'\"#%@`abc019.~=").map(str.encode))
@example(b"0x" + b"f" * 9000)
@example(b"a: " + b"1:1" * 9000)
@example(b"- " * 900)
@example(b"!!float a: b")
@example(b"!!set {a, a}")
@example(b"!!omap [a]")
@example(b"!!pairs {a: b}")
@example(b"=")
def test_bytes_are_a_value_or_an_error_of_the_product(scratch: Path, data: bytes) -> None:
    scratch.write_bytes(data)
    for read in (lambda: load_technology(scratch), lambda: Database.load(scratch)):
        with contextlib.suppress(VsqError):  # anything else escapes
            read()


def test_what_is_shown_of_a_value_is_short_and_one_line() -> None:
    hostile: list[Any] = []
    hostile.append(hostile)
    bomb: Any = "x"
    for _ in range(30):
        bomb = [bomb] * 30
    for value in (10**5000, "x" * 9000, hostile, bomb, "a\nb", {"a": {"b": {"c": 10**6000}}}, b"x" * 9000):
        assert len(shown(value)) < 500
        assert "\n" not in shown(value)
    assert shown("plain") == "'plain'"
    assert shown(10**5000) == f"an integer of {(10**5000).bit_length()} bits"
