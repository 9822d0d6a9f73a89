"""Print the requirements in pyproject.toml, one a line: the runtime's and those of the named extras."""

import sys
from pathlib import Path

import tomllib


def main(extras: list[str]) -> None:
    """Write to stdout; an extra that does not exist ends in an error that lists those that do."""
    text = (Path(__file__).resolve().parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    optional = project["optional-dependencies"]
    if unknown := [extra for extra in extras if extra not in optional]:
        sys.exit(f"pyproject.toml has no extra {', '.join(unknown)}; it has {', '.join(optional)}")
    print(*project["dependencies"], *(line for extra in extras for line in optional[extra]), sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
