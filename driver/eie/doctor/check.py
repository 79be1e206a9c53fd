"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass, field

OK, FAIL, SKIPPED = "OK", "FAIL", "SKIPPED"


@dataclass(frozen=True)
class Check:
    """What came of looking at one thing.

    Parameters
    ----------
    name : str
    status : {"OK", "FAIL", "SKIPPED"}
    found : str
    remedy : str
        What to do about it; empty if there is nothing to do.
    """

    name: str
    status: str
    found: str
    remedy: str = ""


@dataclass
class Findings:
    checks: list[Check] = field(default_factory=list)

    def add(self, name: str, status: str, found: str, remedy: str = "") -> bool:
        self.checks.append(Check(name, status, found, remedy if status != OK else ""))
        return status == OK
