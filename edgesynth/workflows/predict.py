"""Predict latency and energy of a bundle or ONNX file on boards that are not here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesynth.core.errors import UserError
from edgesynth.core.progress import Progress, Silent
from edgesynth.core.requirement import Requirement
from edgesynth.core.verdicts import judge_record
from edgesynth.hardware.board import Board, load_board
from edgesynth.hardware.energy import predict_energy_mj
from edgesynth.hardware.layers import Precision
from edgesynth.hardware.onnx_graph import read_graph
from edgesynth.hardware.onnx_layers import layers_of
from edgesynth.hardware.roofline import predict_latency_ms, require_precision
from edgesynth.workflows.predicted import predicted_record, read_subject
from edgesynth_rt.record import SUFFIX, write_record

if TYPE_CHECKING:
    from edgesynth.networks.network import Network

DEFAULT_PRECISION: Precision = "fp16"
_OPSET, _IR = 13, 7  # what TensorRT 8.2 of JetPack 4.6 reads; the layers are the same at others


def predict(
    path: Path,
    devices: Sequence[str],
    power_mode: str | None = None,
    precision: str | None = None,
    batch: int | None = None,
    requirements: Sequence[Requirement] = (),
    out: Path | None = None,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Predict the bundle or ONNX file at `path` on each of `devices`, without running anything.

    `power_mode` is one of the board's nvpmodel modes, its fastest by default. `precision` is fp16
    (the default) or fp32. `batch` is the file's own by default. Requirements that name a device
    are judged on that device's record, others on all. With `out`, the record of one device goes to
    that file if it ends in .json, else each goes into that folder as NAME-DEVICE.record.json.

    Returns one record (`edgesynth.record/1`, kind "predicted") per device. Raises UserError for an
    unknown device, mode or precision, a precision that a board does not have, and a file whose
    layers cannot be counted.
    """
    progress = progress or Silent()
    boards = _boards(devices, requirements)
    precisions = [require_precision(board, precision or DEFAULT_PRECISION) for board in boards]
    modes = [board.mode(power_mode) for board in boards]
    places = _places(out, len(boards))
    subject = read_subject(path)
    progress.say(f"{subject.name}: {len(subject.layers)} kernels after fusion")
    records = []
    for board, mode, known in zip(boards, modes, precisions, strict=True):
        record = predicted_record(subject, board, mode, known, batch)
        mine = [r for r in requirements if r.device in (None, board.name)]
        record["requirements"] = judge_record(record, mine)
        if places is not None:
            write_record(str(_file(places, subject.name, board.name)), record)
        records.append(record)
    return records


def predict_network(
    network: Network,
    devices: Sequence[str],
    *,
    power_mode: str | None = None,
    precision: Precision = DEFAULT_PRECISION,
) -> dict[str, dict[str, float]]:
    """What a search needs to know of `network` on each of `devices`, by the keys of requirements.

    Nothing is written: the network's layers are read from an ONNX model in memory. Energy is left
    out where it cannot be predicted. Raises UserError as `predict` does.
    """
    if not devices:
        return {}
    import torch

    from edgesynth.export.onnx_file import export_module, serialize

    example = torch.zeros(1, *network.description.input_shape)
    model = export_module(network.module, example, opset=_OPSET, ir_version=_IR).model
    layers = layers_of(read_graph(serialize(model), network.name), network.name)
    values = {}
    for board in _boards(devices, ()):
        mode = board.mode(power_mode)
        latency = predict_latency_ms(layers, board, precision=precision, mode=mode)
        energy = predict_energy_mj(
            layers, board, precision=precision, mode=mode, latency_ms=latency
        )
        values[board.name] = {
            "latency_mean_ms": latency,
            "latency_p50_ms": latency,
            "throughput_per_s": 1e3 / latency,
            **(
                {}
                if energy is None
                else {"energy_mj": energy, "inferences_per_joule": 1e3 / energy}
            ),
        }
    return values


def _boards(devices: Sequence[str], requirements: Sequence[Requirement]) -> list[Board]:
    """Each device once; every device that a requirement names must be among them."""
    if not devices:
        raise UserError("no device is named; add for example --device tx2")
    boards = [load_board(name) for name in dict.fromkeys(devices)]
    for requirement in requirements:
        if requirement.device is not None and requirement.device not in devices:
            load_board(requirement.device)  # a typo is answered with the nearest name
            raise UserError(
                f'requirement "{requirement.text}" names a device that is not predicted; '
                f"add --device {requirement.device}"
            )
    return boards


def _places(out: Path | None, count: int) -> Path | None:
    """Where records go; made before the work, so that a bad place is refused at once."""
    if out is None:
        return None
    is_file = out.suffix == ".json" and not out.is_dir()
    if is_file and count > 1:
        raise UserError(f"{out} takes the record of one device; give a folder for {count} devices")
    folder = out.parent if is_file else out
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"folder {folder} cannot be made: {error.strerror}") from None
    return out


def _file(place: Path, name: str, device: str) -> Path:
    if place.suffix == ".json" and not place.is_dir():
        return place
    return place / f"{name}-{device}{SUFFIX}"
