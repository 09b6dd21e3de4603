"""darknet's `.cfg` files: sections of `name=value` lines (src/option_list.c, src/parser.c)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from edgesynth.core.errors import UserError, nearest, shown

MAX_BYTES = 1 << 20
_MAX_NUMBER = 1 << 16


@dataclass(frozen=True)
class Section:
    """`[name]` and the options below it."""

    file: str
    name: str
    line: int
    options: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Name -> value and line."""

    def refuse(self, problem: str, option: str | None = None) -> UserError:
        """The error that names file, line and section."""
        line = self.options[option][1] if option in self.options else self.line
        return UserError(f"{self.file}, line {line}, [{self.name}]: {problem}")

    def text(self, option: str, default: str | None = None) -> str:
        """The value of `option`; UserError when it is absent and has no default."""
        if option in self.options:
            return self.options[option][0]
        if default is None:
            close = nearest(option, list(self.options)) if self.options else "it has no options"
            raise self.refuse(f"{option}= is missing; {close}")
        return default

    def whole(
        self, option: str, default: int | None = None, *, least: int = 0, most: int = _MAX_NUMBER
    ) -> int:
        """The value of `option` as a whole number from `least` to `most`."""
        if option not in self.options and default is not None:
            return default
        return self._whole(option, self.text(option), least, most)

    def wholes(self, option: str) -> list[int]:
        """The value of `option` as a list of whole numbers, negative ones too."""
        parts = self.text(option).split(",")
        return [self._whole(option, part, -_MAX_NUMBER, _MAX_NUMBER) for part in parts]

    def number(self, option: str, default: float) -> float:
        """The value of `option` as a number from 0 to 1000."""
        if option not in self.options:
            return default
        return self._number(option, self.text(option))

    def numbers(self, option: str) -> list[float]:
        """The value of `option` as a list of numbers from 0 to 1000."""
        return [self._number(option, part) for part in self.text(option).split(",")]

    def _whole(self, option: str, text: str, least: int, most: int) -> int:
        digits = text.strip()
        if not digits.isascii() or not digits.removeprefix("-").isdigit() or len(digits) > 9:
            raise self.refuse(f'{option}="{shown(digits)}" is not a whole number', option)
        if not least <= int(digits) <= most:
            raise self.refuse(f"{option}={digits} is not in {least} to {most}", option)
        return int(digits)

    def _number(self, option: str, text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise self.refuse(f'{option}="{shown(text.strip())}" is not a number', option) from None
        if not 0 <= value <= 1000:
            raise self.refuse(f"{option}={text.strip()} is not in 0 to 1000", option)
        return value


def read_config(path: Path) -> str:
    """The text of the configuration file at `path`.

    Raises UserError when it cannot be read, or is no text of at most 1 MiB.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise UserError(f"{path} is larger than 1 MiB; a darknet configuration is a short text")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is no text (byte {error.start}); give a .cfg file") from None


def parse_config(text: str, file: str) -> list[Section]:
    """The sections of a configuration, `[net]` first; `file` names it in messages.

    Lines of `;` and whatever follows a `#` are comments; blanks count nowhere, as in darknet.
    Raises UserError naming file and line.
    """
    sections: list[Section] = []
    for number, raw in enumerate(text.splitlines(), start=1):
        line = "".join(raw.partition("#")[0].split())
        if not line or line[0] == ";":
            continue
        if line[0] == "[":
            if line[-1] != "]":
                raise UserError(f'{file}, line {number}: "{shown(line)}" has no closing bracket')
            sections.append(Section(file, line[1:-1], number))
            continue
        key, equals, value = line.partition("=")
        if not equals or not key or not value:
            raise UserError(f'{file}, line {number}: "{shown(line)}" is not NAME=VALUE')
        if not sections:
            raise UserError(f"{file}, line {number}: {shown(key)}= stands before any [section]")
        sections[-1].options[key] = (value, number)
    if not sections or sections[0].name not in ("net", "network"):
        first = f"starts with [{sections[0].name}]" if sections else "has no section"
        raise UserError(f"{file} {first}, not with [net]; give a darknet configuration")
    return sections
