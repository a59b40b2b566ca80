"""Puts what the fault campaigns have measured beside what is promised.

    make contract                                        # runs them, then this
    python docs/contract.py FIGURES docs/contract.md     # FIGURES: the folder that BOARDTALK_FIGURES named

What was made before is made anew; the text around it stays. A file that is not there gets that alone.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests"
BEGIN, END = "<!-- made by docs/contract.py -->\n", "<!-- end -->\n"
_TEST = re.compile(r"def test_((?:c\d\d_)+)(\w+)")

PROMISES = {
    1: "An accepted command is on disk before the acknowledgement: ≥ 300 a second, p99 ≤ 20 ms",
    2: "Executed at most once per id; exactly once unless the board reset in mid-command",
    3: "Same id and body: same answer; same id, other body: rejected",
    4: "Nothing starts after its expiry",
    5: "Every accepted command gets an end, told to the sender and in the history, ≤ ttl + 2 s after all "
    "parts are back",
    6: "Board reset in mid-command: `unknown`, never sent again",
    7: "Stop pre-empts everything: p99 ≤ 100 ms, max ≤ 250 ms under load; idle p99 ≤ 20 ms",
    8: "Stop latches: what was said before dies in gateway and board; a reset never restarts motion",
    9: "Dead-man: outputs off ≤ lease (500 ms) + 100 ms, by the board's own clock; "
    "overrun ≤ v·(lease + 0.1 s) + v²/2a",
    10: "Motion without a held control is finite: ≤ 10 s; what acts for longer is renewed each 3 s",
    11: "One holder per robot; taking over is explicit, logged, and stops first",
    12: "Links recover without a person, usable ≤ 1 s after the board answers; motion never resumes",
    13: "Offline is shown ≤ 5 s idle, ≤ 600 ms moving",
    14: "Ready ≤ 5 s after kill -9; pending motion never replays",
    15: "A bad module blocks nobody: others' p99 < 2×",
    16: "Authorising modules fail closed, cosmetic ones are skipped; both visibly",
    17: "Back-pressure is explicit: 50 a device, 1,000 in all, then `rejected(busy)` ≤ 100 ms; who does not "
    "read is cut off at 1 MB or 10 s",
    18: "Full or failing disk: commands refused with the reason ≤ 100 ms, stop and dead-man work, what was "
    "accepted stays; recovery ≤ 5 s",
    19: "Torn or corrupt files never execute a wrong command nor prevent a start (≤ 5 s)",
    20: "Broker dead or corrupt: serial boards and local chat go on; it is back ≤ 5 s",
}


def tests() -> dict[int, list[str]]:
    """What the tests say that carry the number of each clause."""
    found: dict[int, list[str]] = {number: [] for number in PROMISES}
    for path in sorted(TESTS.rglob("test_*.py")):
        link = f"[{path.stem}](../{path.relative_to(TESTS.parent)})"
        for clauses, name in _TEST.findall(path.read_text()):
            for clause in re.findall(r"\d\d", clauses):
                found[int(clause)].append(f"{name.replace('_', ' ')} ({link})")
    return found


def figures(folder: Path) -> dict[int, dict[str, str]]:
    """What was measured last, by clause and what it is."""
    found: dict[int, dict[str, str]] = {number: {} for number in PROMISES}
    for path in sorted(folder.glob("*.jsonl"), key=lambda path: path.stat().st_mtime):
        for line in path.read_text().splitlines():
            row = json.loads(line)
            if not row["clause"].startswith("C"):  # no clause of the contract
                continue
            echo = f"; bare echo meanwhile {row['echo']}" if "echo" in row else ""
            found[int(row["clause"][1:])][row["what"]] = row["figure"] + echo
    return found


def table(folder: Path) -> str:
    """All clauses with their figures, and below it their tests."""
    measured = figures(folder)
    lines = ["| | promise | measured |", "|-|-|-|"]
    for number, promise in PROMISES.items():
        found = "<br>".join(f"{what}: **{figure}**" for what, figure in measured[number].items())
        lines.append(f"| C{number} | {promise} | {found or 'yes or no: by its tests'} |")
    lines += ["", "## Shown by"]
    for number, said in tests().items():
        lines += ["", f"**C{number}**", "", *(f"- {each}" for each in said)]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Render."""
    folder, target = map(Path, sys.argv[1:])
    made = table(folder)
    text = target.read_text() if target.exists() else f"{BEGIN}{END}"
    before, _, rest = text.partition(BEGIN)
    target.write_text(f"{before}{BEGIN}\n{made}\n{END}{rest.partition(END)[2]}")
    print(f"written: {target.resolve()}")


if __name__ == "__main__":
    main()
