"""What a rule finds in a file: where, what, and how to mend it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing that does not fit a target."""

    rule: str
    """Short name of the rule, e.g. `opset`, `operator`, `input type`."""
    place: str
    """Node, tensor or file part."""
    what: str
    remedy: str
    fatal: bool = True
    """False where the runtime copes and only the user should know."""

    def __str__(self) -> str:
        return f"{self.place}: {self.what}; {self.remedy}"

    def document(self) -> dict[str, object]:
        """The finding as JSON data."""
        return {
            "rule": self.rule,
            "place": self.place,
            "what": self.what,
            "remedy": self.remedy,
            "fatal": self.fatal,
        }
