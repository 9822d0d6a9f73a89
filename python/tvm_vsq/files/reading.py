"""Text files of unknown quality: what they hold, or an error of one line that says where it is wrong."""

from __future__ import annotations

import copy
import json
import stat
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from tvm_vsq.errors import InputError, VsqError, shown
from tvm_vsq.files.paths import as_path

_LARGEST_TEXT = 64 << 20
_LARGEST_YAML = 64 << 10  # a second or two of its reader, at worst
_DEEPEST = 32
_DEPTH = "nested too deeply"


def read_text(path: Any, error: type[VsqError] = InputError, limit: int = _LARGEST_TEXT) -> str:
    """The text of a file in UTF-8 of at most `limit` bytes; raises `error` with the reason."""
    file = as_path(path, error)
    name = shown(str(file))
    try:
        if stat.S_ISDIR(file.stat().st_mode):
            raise error(f"cannot read {name}: it is a folder; give the name of a file")
        with file.open("rb") as stream:
            content = stream.read(limit + 1)
    except OSError as problem:
        raise error(f"cannot read {name}: {problem.strerror}") from None
    if len(content) > limit:
        raise error(f"cannot read {name}: it is larger than {limit >> 10:,} KiB, which no such file is")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise error(f"cannot read {name}: byte {problem.start} is not text in UTF-8") from None


def parse_json(text: str, source: str, error: type[VsqError] = InputError) -> Any:
    """The value of JSON.

    Raises `error` that begins with `source` for all that is not, for keys that are given twice, for NaN and
    infinities, and for text that is not Unicode.
    """
    try:
        data = json.loads(text, object_pairs_hook=_mapping, parse_constant=_refuse_constant)
        json.dumps(data, ensure_ascii=False, allow_nan=False).encode()  # 1e999 is infinite
    except RecursionError:
        raise error(f"{source}: {_DEPTH}") from None
    except UnicodeEncodeError:
        raise error(f"{source}: holds an unpaired surrogate, which is no character") from None
    except (TypeError, ValueError) as problem:
        raise error(f"{source}: must be JSON: {problem}") from None
    return data


def parse_yaml(path: Path, error: type[VsqError] = InputError) -> Any:
    """The value in a YAML file. Raises `error` naming file and line for all that is not YAML, and for keys
    that are given twice, aliases and tags of other types than text and numbers."""
    text = read_text(path, error, _LARGEST_YAML)
    try:
        return copy.deepcopy(_loaded(text))
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        where = f":{mark.line + 1}" if mark else ""
        raise error(f"{path}{where}: cannot be read as YAML: {problem.problem or problem.context}") from None
    except RecursionError:
        raise error(f"{path}: cannot be read as YAML: {_DEPTH}") from None
    except Exception as problem:  # of its constructors, for a value that does not fit its tag
        reason = " ".join(str(problem).split())
        raise error(f"{path}: cannot be read as YAML: {type(problem).__name__} {reason}") from None


@lru_cache(maxsize=32)
def _loaded(text: str) -> Any:
    """A table of energies is read for every accelerator that names it, and takes 30 ms."""
    return yaml.load(text, _Loader)


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        (twice, _), *_ = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"key {shown(twice)} is given twice; remove one")
    return data


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number; give a finite one")


class _Loader(yaml.SafeLoader):
    """Plain YAML: what can be said twice, or stands for more than is written, is refused."""

    def fetch_flow_collection_start(self, token_class: Any) -> None:
        if self.flow_level >= _DEEPEST:  # for each token the scanner goes through all levels
            mark = self.get_mark()
            raise yaml.scanner.ScannerError(None, None, _DEPTH, mark)
        super().fetch_flow_collection_start(token_class)

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(
                None, None, "an alias; write what it stands for in its place", mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen = set()
        for key_node, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            key = (key_node.tag, key_node.value) if isinstance(key_node, yaml.ScalarNode) else None
            if key is not None and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {shown(key_node.value)} is given twice; remove one", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (yaml.YAMLError, RecursionError):
            raise
        except Exception as problem:
            what = shown(node.value) if isinstance(node, yaml.ScalarNode) else "this"
            raise yaml.constructor.ConstructorError(
                None, None, f"{what} is no {node.tag.rpartition(':')[2]}", node.start_mark
            ) from problem
