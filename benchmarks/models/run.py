"""What networks cost on the shipped accelerators and on the host: measures it, then writes docs/models.md.

    make bench-models
    python benchmarks/models/run.py --only resnet8/vsq-accel padding    # a part of the cases

Each case runs in a process of its own, one after the other. What build/models holds of the same sources is
not measured again, so a run that was interrupted goes on. With --only the document holds what is there, and
goes to build/models.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from networks import BENCHMARKS, NETWORKS
from report import write

import tvm_vsq
from tvm_vsq.hardware import list_targets

BUILD, DOCUMENT = BENCHMARKS.parent / "build/models", BENCHMARKS.parent / "docs/models.md"
ABLATED = ("resnet8", "resnet50")


@dataclass(frozen=True)
class Case:
    """One measurement. script: of benchmarks/, with its arguments; it prints a line of JSON."""

    name: str
    script: str
    arguments: tuple[str, ...]


def all_cases() -> list[Case]:
    """In the order in which they run: short ones first."""
    pairs = [(network, target) for network in NETWORKS for target in list_targets()]
    return [
        *(Case(f"{n}/{t}", "models/case.py", (n, t)) for n, t in pairs),
        *(Case(f"{n}/{t}/unfitted", "models/case.py", (n, t, "--unfitted")) for n, t in pairs),
        *(
            Case(f"{n}/{t}/brought", "models/what_brought.py", (n, t, "--json"))
            for n, t in pairs
            if n in ABLATED
        ),
        *(Case(f"padding/{t}", "padding.py", ("--targets", t, "--json")) for t in list_targets()),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", metavar="NAME", help="resnet8, resnet8/vsq-accel, padding, ...")
    parser.add_argument("--kept", type=Path, default=BUILD, help="where results are kept")
    parser.add_argument("--output", type=Path, help="the document (default: docs/models.md)")
    arguments = parser.parse_args()
    kept, mark = arguments.kept, fingerprint()
    kept.mkdir(parents=True, exist_ok=True)
    found = {}
    for case in all_cases():
        chosen = not arguments.only or any(f"{case.name}/".startswith(f"{name}/") for name in arguments.only)
        path = kept / f"{case.name.replace('/', '_')}.json"
        result = read(path, mark)
        if result is None and chosen:
            result = measured(case)
            store(path, {"sources": mark, "found": result})
        if result is not None:
            found[case.name] = result
    output = arguments.output or (kept / "models.md" if arguments.only else DOCUMENT)
    write(found, output)
    print(f"wrote {output}")


def fingerprint() -> str:
    """Of what figures depend on: the installed package with its library and data, and these scripts."""
    package = Path(tvm_vsq.__file__).parent
    scripts = [*BENCHMARKS.glob("*.py"), *BENCHMARKS.glob("models/*.py"), BENCHMARKS / "simulator/models.py"]
    files = [path for path in package.rglob("*") if path.suffix in (".py", ".so", ".yaml", ".json")]
    digest = hashlib.sha256()
    for path in sorted((*files, *scripts)):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def read(path: Path, mark: str) -> Any:
    """What was found with the same sources; None if there is no such thing."""
    kept = json.loads(path.read_text()) if path.exists() else {}
    return kept["found"] if kept.get("sources") == mark else None


def measured(case: Case) -> Any:
    """Run a case, with a line of progress; a case that fails ends the run with what it said."""
    begin = time.perf_counter()
    command = [sys.executable, str(BENCHMARKS / case.script), *case.arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{case.name} failed:\n{done.stderr[-3000:]}")
    print(f"{case.name:40} {time.perf_counter() - begin:5.0f} s", flush=True)
    return json.loads(done.stdout.splitlines()[-1])


def store(path: Path, content: dict[str, Any]) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=1) + "\n")
    partial.rename(path)


if __name__ == "__main__":
    main()
