"""An `.edgenet` folder as bytes, so that networks travel without a shared file system."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from edgesynth.core.errors import UserError
from edgesynth.networks import edgenet
from edgesynth.networks.network import Network
from edgesynth_rt.files import new_folder, write_bytes

Parcel = Mapping[str, bytes]
"""File name -> content of every file in an `.edgenet` folder."""


def read_parcel(folder: Path) -> dict[str, bytes]:
    """The files of the `.edgenet` at `folder`.

    Raises UserError when it cannot be read.
    """
    try:
        return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    except OSError as error:
        raise UserError(f"network {folder} cannot be read: {error.strerror}") from None


def write_parcel(parcel: Parcel, folder: Path) -> None:
    """Make the `.edgenet` folder of `parcel` in one step.

    Raises UserError when a name in it would leave the folder, or the folder cannot be written.
    """
    for name in parcel:
        if name != Path(name).name or name.startswith("."):
            raise UserError(f'network {folder}: "{name}" is no name of a file in an .edgenet')
    with new_folder(folder) as temporary:
        for name, content in parcel.items():
            write_bytes(Path(temporary) / name, content)


def pack(network: Network) -> dict[str, bytes]:
    """`network` as it would be saved, with the hash of its weights in the description."""
    with TemporaryDirectory(prefix="edgesynth-") as temporary:
        folder = Path(temporary) / "network.edgenet"
        edgenet.save(network, folder)
        return read_parcel(folder)


def unpack(parcel: Parcel, trust: Sequence[str]) -> Network:
    """The network in `parcel`, read with all the checks of a file; see `edgenet.load`."""
    with TemporaryDirectory(prefix="edgesynth-") as temporary:
        folder = Path(temporary) / "network.edgenet"
        write_parcel(parcel, folder)
        return edgenet.load(folder, trust=trust)
