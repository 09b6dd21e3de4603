"""The published rows that the fit uses, tied to our boards, power modes and layer tables."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from edgesynth.hardware.board import Board, PowerMode, load_board
from edgesynth.hardware.layers import Layer, Precision

FOLDER = Path(__file__).parent
CALIBRATION = FOLDER / "calibration.csv"
TABLES = FOLDER / "layer_tables"

#: Source -> its name of a network -> our layer table.
NETWORKS = {
    "ferraz_icassp23": {
        "AlexNet": "alexnet",
        "GoogLeNet": "googlenet",
        "SqueezeNet 1.0": "squeezenet-1.0",
        "ResNet-18": "resnet18-caffe",
        "ResNet-50": "resnet50-caffe",
        "ResNet-101": "resnet101-caffe",
        "ResNet-152": "resnet152-caffe",
        "VGG-16": "vgg16",
        "VGG-19": "vgg19",
    },
    "dividiti_tx1": {
        "bvlc-alexnet": "alexnet",
        "bvlc-googlenet": "googlenet",
        "deepscale-squeezenet-1.0": "squeezenet-1.0",
        "deepscale-squeezenet-1.1": "squeezenet-1.1",
    },
    "charlyng_tx1_caffe": {"AlexNet": "alexnet", "GoogLeNet": "googlenet", "VGG16": "vgg16"},
    "netspresso_device_matrix": {
        "ResNet18": "resnet18",
        "ResNet34": "resnet34",
        "ResNet50": "resnet50",
        "MobileNetV3-small": "mobilenetv3-small",
        "MobileNetV3-large": "mobilenetv3-large",
        "MixNet-s": "mixnet-s",
        "MixNet-m": "mixnet-m",
        "MixNet-l": "mixnet-l",
        "EfficientFormer-l1": "efficientformer-l1",
        "PIDNet-s": "pidnet-s",
        "YOLOX-s": "yolox-s",
        "YOLOX-m": "yolox-m",
        "YOLOX-l": "yolox-l",
    },
}

#: (board, power mode as published) -> our power mode. netspresso states none: its figures for
#: ResNet-18 and 50 agree within 8 % with the others' at the highest clocks, and are far from those
#: of the next mode. Its Orin Nano is older than the Super modes.
MODES = {
    ("tx1", "GPU 998 MHz (max clocks)"): "MAXN",
    ("tx1", "GPU fixed 998 MHz"): "MAXN",
    ("tx1", "GPU fixed 691 MHz"): "691MHz",
    ("nano", "MAXN"): "MAXN",
    ("nano", "5W"): "5W",
    ("nano", ""): "MAXN",
    ("tx2", "MAXN"): "MAXN",
    ("tx2", "MAX-P"): "MAXP_CORE_ARM",
    ("tx2", "MAX-Q"): "MAXQ",
    ("tx2", ""): "MAXN",
    ("agx-xavier", "MAXN"): "MAXN",
    ("agx-xavier", "30W"): "MODE_30W_ALL",
    ("agx-xavier", "15W"): "MODE_15W",
    ("agx-xavier", "15W Desktop"): "MODE_15W_DESKTOP",
    ("agx-xavier", "10W"): "MODE_10W",
    ("agx-xavier", ""): "MAXN",
    ("xavier-nx", ""): "MODE_20W_6CORE",
    ("orin-nano", ""): "15W",
    ("agx-orin", ""): "MAXN",
}

#: Where ferraz_icassp23 measured power. The repository does not say it for the Nano; its readings
#: have steps of 0.1 W and are above what the module's own sensor shows in other sources.
POWER_SCOPES = {
    "tx2": "module input, rail VDD_IN",
    "agx-xavier": "sum of the module's six INA3221 rails",
    "nano": "input of the developer kit, probably (the source does not say)",
}

_FAMILIES = ("vgg", "resnet", "squeezenet", "mixnet", "mobilenetv3", "yolox")


@dataclass(frozen=True)
class Row:
    """One published figure."""

    source: str
    framework: str
    board: Board
    mode: PowerMode
    precision: Precision
    batch: int
    network: str
    """Name of a layer table."""
    latency_ms: float
    """For the whole batch; where only throughput was published, the batch divided by it."""
    power_w: float | None

    @property
    def design(self) -> str:
        """The network, whichever framework's variant: what is held out together."""
        return self.network.removesuffix("-caffe")

    @property
    def family(self) -> str:
        """The stricter group: all ResNets, all VGGs, ..."""
        return next((f for f in _FAMILIES if self.network.startswith(f)), self.network)

    @property
    def energy_mj(self) -> float | None:
        """Per sample."""
        return None if self.power_w is None else self.power_w * self.latency_ms / self.batch

    @property
    def is_tensorrt(self) -> bool:
        """Only these are fitted: a prediction is one for TensorRT."""
        return self.framework == "TensorRT"


def read_rows(path: Path = CALIBRATION) -> list[Row]:
    """All rows whose network has a layer table, in the order of the file."""
    with path.open(newline="") as stream:
        return [_row(record) for record in csv.DictReader(stream)]


def _row(record: dict[str, str]) -> Row:
    board = load_board(record["board"].removeprefix("Jetson ").lower().replace(" ", "-"))
    batch = int(record["batch"])
    latency = record["latency_ms"] or 1e3 * batch / float(record["throughput_ips"])
    return Row(
        source=record["source"],
        framework=record["framework"],
        board=board,
        mode=board.mode(MODES[board.name, record["power_mode"]]),
        precision="fp16" if record["precision"] == "fp16" else "fp32",
        batch=batch,
        network=NETWORKS[record["source"]][record["network"]],
        latency_ms=float(latency),
        power_w=float(record["power_w"]) if record["power_w"] else None,
    )


@cache
def read_table(network: str) -> tuple[Layer, ...]:
    """The layers of `network`, as `make_layers.py` stored them."""
    with (TABLES / f"{network}.csv").open(newline="") as stream:
        return tuple(_layer(index, record) for index, record in enumerate(csv.DictReader(stream)))


def _layer(index: int, record: dict[str, str]) -> Layer:
    height, width = record.pop("kernel").split("x")
    kind = record.pop("kind")
    counts = {name: int(value) for name, value in record.items()}
    kernel = (int(height), int(width))
    return Layer(name=f"{kind} {index}", kind=kind, kernel=kernel, **counts)  # type: ignore[arg-type]
