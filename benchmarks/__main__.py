"""`python -m benchmarks [bulk|federation|gate|http|index|scale|storage|submit|views|watch]…`: all of them without a name."""

from __future__ import annotations

import importlib
import sys

NAMES = ("bulk", "federation", "gate", "http", "index", "scale", "storage", "submit", "views", "watch")


def main() -> None:
    """Run the named benchmarks in order."""
    if {"-h", "--help"} & set(sys.argv):
        sys.exit(__doc__)
    for name in [one for one in sys.argv[1:] if not one.startswith("--") and not one.isdigit()] or NAMES:
        if name not in NAMES:
            sys.exit(f"there is no benchmark {name}: {', '.join(NAMES)}")
        importlib.import_module(f"benchmarks.{name}").run()


if __name__ == "__main__":
    main()
