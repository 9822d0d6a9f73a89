"""Break a copy of the project on purpose, one patch at a time, and see the tests that must notice it fail.

A mutation is a file *.patch in this folder (README.md). Python is patched in a copy of the installed package,
which comes first on the path of the tests, and RTL in that, too; C++ in a copy of the sources, built in
build/mutate.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import threading
import time
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from subprocess import TimeoutExpired

from patches import FOLDER, ROOMS, Mutation, MutationError, StaleError, all_mutations, apply, check
from rich.console import Console
from rich.table import Table
from trees import NATIVE, configure_native, failures, package_copy, refresh_native

KILLED = "killed"
_native_copy = threading.Lock()


def fail_unmutated(mutations: Sequence[Mutation]) -> set[str]:
    """Tests of these mutations that fail although nothing is broken."""
    failed: set[str] = set()
    with package_copy() as tree:
        for native in (False, True):
            tests = sorted({test for m in mutations if m.is_native == native for test in m.tests})
            if tests and native:
                configure_native()
            failed |= failures(tests, tree, native=native)
    return failed


def survivors(mutation: Mutation) -> set[str]:
    """Tests named by the mutation that pass with it. Raises MutationError if it cannot be tried."""
    with package_copy() as tree:
        if not mutation.is_native:
            apply(mutation, tree, folder=ROOMS[mutation.room])
            return set(mutation.tests) - failures(mutation.tests, tree, native=False)
        with _native_copy:
            try:
                apply(mutation, NATIVE / "src")
                return set(mutation.tests) - failures(mutation.tests, tree, native=True)
            finally:
                refresh_native()


def outcome(mutation: Mutation, broken: Collection[str]) -> tuple[str, float]:
    """KILLED, or what became of the mutation instead, and after how many seconds."""
    start = time.monotonic()
    try:
        if failing := sorted(test for test in mutation.tests if test in broken):
            result = f"FAILS UNMUTATED: {', '.join(failing)}"
        elif alive := sorted(survivors(mutation)):
            result = f"SURVIVED {', '.join(alive)}"
        else:
            result = KILLED
    except StaleError as error:
        result = f"DOES NOT APPLY: {error}"
    except (MutationError, TimeoutExpired) as error:
        result = f"CANNOT BE TRIED: {error}"
    return result, time.monotonic() - start


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("only", nargs="*", help="names, or parts of names, of mutations (default: all)")
    parser.add_argument("--sample", type=int, metavar="N", help="N of them, drawn with --seed")
    parser.add_argument("--seed", default="0", help="any text, such as the hash of a commit")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="mutations side by side")
    parser.add_argument("--check", action="store_true", help="only see that patches apply and tests exist")
    arguments = parser.parse_args()

    mutations = all_mutations()
    if arguments.only:
        mutations = [m for m in mutations if any(part in m.name for part in arguments.only)]
    if arguments.sample is not None and arguments.sample < len(mutations):
        mutations = random.Random(arguments.seed).sample(mutations, arguments.sample)
    if not shutil.which("iverilog") and any(mutation.room == "rtl" for mutation in mutations):
        print("no mutation of rtl/ is tried: that needs Debian's iverilog")  # the tests would be skipped
        mutations = [mutation for mutation in mutations if mutation.room != "rtl"]
    if not mutations:
        parser.error(f"no mutation is named so: {' '.join(arguments.only) or FOLDER}")
    if problems := check(mutations):
        sys.exit("\n".join(problems))
    if arguments.check:
        return 0

    broken = fail_unmutated(mutations)
    table = Table("mutation", "breaks", "result", "s")
    with ThreadPoolExecutor(arguments.jobs) as pool:
        results = pool.map(lambda mutation: outcome(mutation, broken), mutations)
        outcomes = []
        for mutation, (result, seconds) in zip(mutations, results, strict=True):
            print(f"{mutation.name}: {result}", flush=True)
            outcomes.append(result)
            table.add_row(mutation.name, mutation.behaviour, result, f"{seconds:.0f}")
    Console(width=None if sys.stdout.isatty() else 160).print(table)
    print(f"{outcomes.count(KILLED)} of {len(outcomes)} mutations killed")
    return 0 if set(outcomes) == {KILLED} else 1


if __name__ == "__main__":
    sys.exit(main())
