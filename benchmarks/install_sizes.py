"""How large Sturgeon is with each extra, and how quickly it is imported: `python -m benchmarks.install_sizes`.

Installs the wheel into an environment for each extra (a few minutes), and prints the megabytes of its packages with
their bytecode, how many they are, and the milliseconds by which an import makes the start of Python longer: the median
of several. It writes benchmarks/results/install_sizes.json if it is told to --write.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.results_file import add_write_option, write_results
from tests.wheel.environments import Environment, build_wheel

EXTRAS: Final = ("", "local", "trainer", "optuna", "notebook", "plots", "all")
IMPORTS: Final = {
    "import": "import sturgeon",
    "client": "from sturgeon import Client",
    "help": "import sys; sys.argv[1:] = ['--help']; from sturgeon.cli.app import run; run()",
}
REPETITIONS: Final = 7


def measured(environment: Environment, folder: Path) -> dict[str, float]:
    """The size in MB, the packages, and the milliseconds of each of IMPORTS."""
    found = {"megabytes": environment.megabytes(), "packages": len(list(environment.packages.glob("*.dist-info")))}
    start = milliseconds(environment, "pass", folder)
    return found | {name: milliseconds(environment, code, folder) - start for name, code in IMPORTS.items()}


def milliseconds(environment: Environment, code: str, folder: Path) -> float:
    """From the start of a Python to its end; the first run, which writes bytecode, does not count."""
    took = []
    for _ in range(REPETITIONS + 1):
        begun = time.perf_counter()
        environment.run(environment.python, "-c", code, cwd=folder).check_returncode()
        took.append(1000 * (time.perf_counter() - begun))
    return median(took[1:])


def print_table(figures: dict[str, dict[str, float]]) -> None:
    print(f"{'':<24}{'packages':>9}{'MB':>7}{'import sturgeon':>17}{'.. Client':>11}{'--help':>9}")
    for extra, row in figures.items():
        times = "".join(
            f"{row[name]:>{width - 3}.0f} ms" for name, width in (("import", 17), ("client", 11), ("help", 9))
        )
        print(f"{extra:<24}{row['packages']:>9.0f}{row['megabytes']:>7.0f}{times}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_write_option(parser, "install_sizes")
    arguments = parser.parse_args()
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wheel = build_wheel(folder)
        for extra in EXTRAS:
            environment = Environment(folder / (extra or "client"), Path(sys.executable))
            environment.install(wheel, extra)
            figures[f"sturgeon[{extra}]" if extra else "sturgeon"] = measured(environment, folder)
    print_table(figures)
    if arguments.write:
        write_results("install_sizes", {"python": sys.version.split()[0], "extras": figures})


if __name__ == "__main__":
    main()
