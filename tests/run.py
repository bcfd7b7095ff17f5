"""Runs every test suite in order and prints what took how long: `python -m tests.run` (or `make test`).

Called by the Makefile and so by the CI. Each suite is a pytest run of its own, cheapest first, so that a broken rule of
the pure core is told in seconds. A failing suite does not stop the next one: the account at the end is complete.
"""

import subprocess
import sys
import time

SUITES = ("unit", "contract", "gates", "integration", "e2e")


def main() -> int:
    """Run the suites and give 0 when all passed, else 1."""
    outcomes: list[tuple[str, float, int]] = []
    for suite in SUITES:
        print(f"\n=== {suite} ===", flush=True)
        start = time.monotonic()
        code = subprocess.run(
            [sys.executable, "-m", "pytest", "--quiet", f"tests/{suite}"], check=False
        ).returncode
        outcomes.append((suite, time.monotonic() - start, code))
    print("\n=== account ===")
    for suite, seconds, code in outcomes:
        print(
            f"  {suite:<12} {seconds:7.1f} s   {'passed' if code == 0 else f'FAILED (pytest exit code {code})'}"
        )
    print(f"  {'total':<12} {sum(seconds for _, seconds, _ in outcomes):7.1f} s")
    return 0 if all(code == 0 for _, _, code in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
