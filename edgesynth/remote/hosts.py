"""Which boards: addresses from the command line and from a `hosts.toml`.

[desk]                            # the name of its folder of records
address = "nvidia@tx2.local"      # what ssh takes, aliases included; "local:" is this machine
python = "python3"                # optional, as the two below
remote-dir = "/mnt/ssd/edgesynth"
timeout = 3600                    # seconds for one step
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgesynth.core.errors import UserError, nearest, shown

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_KEYS: dict[str, tuple[type, ...]] = {
    "address": (str,),
    "python": (str,),
    "remote-dir": (str,),
    "timeout": (int, float),
}
_MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class Host:
    """One board to deploy to; None means what the command line says."""

    name: str
    address: str
    python: str | None = None
    remote_dir: str | None = None
    timeout_s: float | None = None


def read_hosts(path: Path) -> list[Host]:
    """The boards of a `hosts.toml`. Raises UserError naming the file and the key that is wrong."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"hosts file {path} cannot be read: {error.strerror}") from None
    if len(data) > _MAX_BYTES:
        raise UserError(f"hosts file {path} is larger than 1 MiB; is it the right file?")
    try:
        document = tomllib.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise UserError(f"hosts file {path} is not TOML: {shown(str(error))}") from None
    if not document:
        raise UserError(f'hosts file {path} names no board; write [desk] and address = "USER@HOST"')
    return [_host(path, name, table) for name, table in document.items()]


def named_hosts(addresses: Sequence[str]) -> list[Host]:
    """Boards given by their addresses alone; each is its own name, fit for a folder."""
    return [Host(_fit(address), address) for address in addresses]


def check_distinct(hosts: Sequence[Host]) -> None:
    """Raise UserError when two boards share a name or an address: they would disturb each other."""
    for what in ("address", "name"):
        values = [getattr(host, what) for host in hosts]
        for value in values:
            if values.count(value) > 1:
                raise UserError(f'the {what} "{shown(value)}" is given twice; give each board once')


def _host(path: Path, name: str, table: Any) -> Host:
    where = f"hosts file {path}: [{shown(name)}]"
    if not isinstance(table, dict):
        raise UserError(f'{where} is not a table; write [{shown(name)}] and address = "USER@HOST"')
    if name != _fit(name):
        raise UserError(f"{where} cannot name a folder; use letters, digits and - _ . @")
    for key, value in table.items():
        if key not in _KEYS:
            raise UserError(f'{where} has an unknown key "{shown(key)}"; {nearest(key, [*_KEYS])}')
        if not isinstance(value, _KEYS[key]) or isinstance(value, bool):
            raise UserError(f"{where}: {key} is {shown(repr(value))}, not {_KEYS[key][0].__name__}")
    if "address" not in table:
        raise UserError(f'{where} has no address; add address = "USER@HOST"')
    timeout_s = table.get("timeout")
    if timeout_s is not None and not 1 <= timeout_s <= 86400:
        raise UserError(f"{where}: timeout is {timeout_s}, not 1 to 86400 seconds")
    return Host(name, table["address"], table.get("python"), table.get("remote-dir"), timeout_s)


def _fit(address: str) -> str:
    """`address` with every character replaced that does not belong in a file name."""
    return re.sub(r"[^A-Za-z0-9_.@-]", "-", address).strip("-.") or "board"
