#!/usr/bin/env python3
"""Which lines of the core no test reaches, over both backends together. STRENGTH.md beside this has the outcome.

    python3 securechat-core/tests/coverage.py              runs the tests and reports
    python3 securechat-core/tests/coverage.py FILE.lcov    reports on a measurement that is there

It needs cargo-llvm-cov and rustup's llvm-tools. Code that only tests have does not count, wherever it stands: what is
under `#[cfg(test)]`, and the files of modules that are.
"""

import re
import subprocess
import sys
from pathlib import Path

SRC = Path(__file__).resolve().parent.parent / "src"
# In these an uncovered line needs a test or a reason.
STRICT = ("frame", "noise", "link", "session", "crypto")
AT_LEAST = 95.0


def measure() -> str:
    run = ["cargo", "llvm-cov", "--no-report", "--package", "securechat-core"]
    # The second backend's own code is reached by the unit tests and the published vectors.
    second = ["--features", "aws-lc", "--lib", "--test", "vectors"]
    report = ["cargo", "llvm-cov", "report", "--package", "securechat-core", "--lcov"]
    subprocess.run(["cargo", "llvm-cov", "clean", "--workspace"], check=True)
    subprocess.run(run, check=True)
    subprocess.run([*run, *second], check=True)
    return subprocess.run(report, check=True, capture_output=True, text=True).stdout


def test_code(path: Path) -> tuple[set[int], list[Path]]:
    """The lines of a file under `#[cfg(test)]`, and the modules there that are files of their own."""
    lines, modules = set(), []
    text = path.read_text().split("\n")
    folder = path.parent if path.name in ("mod.rs", "lib.rs") else path.with_suffix("")
    for start, line in enumerate(text):
        if line.strip() != "#[cfg(test)]":
            continue
        # rustfmt puts an item's end at the indent of its beginning.
        indent = line[: len(line) - len(line.lstrip())]
        end = start + 1
        while text[end].startswith(indent + "#["):
            end += 1
        if module := re.fullmatch(r"\s*(?:pub(?:\(.*\))? )?mod (\w+);", text[end]):
            modules.append(folder / module[1])
        elif not text[end].endswith(";"):
            while text[end] not in (indent + "}", indent + ");"):
                end += 1
        lines.update(range(start + 1, end + 2))
    return lines, modules


def main() -> int:
    lcov = Path(sys.argv[1]).read_text() if len(sys.argv) > 1 else measure()
    skipped, only_tests = {}, []
    for path in SRC.rglob("*.rs"):
        skipped[path], modules = test_code(path)
        only_tests += modules

    totals, missed = {}, []
    for record in lcov.split("end_of_record"):
        name = re.search(r"^SF:(.*)$", record, re.M)
        parts = Path(name[1]).parts if name else ()
        if "src" not in parts or "securechat-core" not in parts:
            continue
        inside = Path(*parts[parts.index("src") + 1 :])
        path = SRC / inside
        if any(path.with_suffix("") == module or module in path.parents for module in only_tests):
            continue
        text = path.read_text().split("\n")
        total = totals.setdefault(inside.parts[0].removesuffix(".rs"), [0, 0])
        for number, count in re.findall(r"^DA:(\d+),(\d+)", record, re.M):
            if int(number) in skipped[path]:
                continue
            total[0] += 1
            total[1] += count != "0"
            if count == "0":
                missed.append((inside, int(number), text[int(number) - 1].strip()))

    for module, (lines, covered) in sorted(totals.items()):
        print(f"{module:<12}{lines:6} lines {covered:6} covered {100 * covered / lines:6.1f} %")
    lines, covered = (sum(column) for column in zip(*totals.values()))
    print(f"{'all':<12}{lines:6} lines {covered:6} covered {100 * covered / lines:6.2f} %")
    for inside, number, line in sorted(missed):
        mark = "!" if inside.parts[0].removesuffix(".rs") in STRICT else " "
        print(f"{mark} {inside}:{number}: {line}")
    return int(100 * covered / lines < AT_LEAST)


if __name__ == "__main__":
    sys.exit(main())
