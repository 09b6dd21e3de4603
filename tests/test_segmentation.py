"""Semantic segmentation: its data, its figure of merit, and a network from training to a bundle."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from edgesynth.cli.main import run
from edgesynth.core.dataset import UNLABELLED, ArraySplit
from edgesynth.core.errors import UserError
from edgesynth.core.metric import metric_of
from edgesynth.core.network import Preprocessing
from edgesynth.data.fashion_detection import SceneSplit
from edgesynth.data.fashion_segmentation import MaskedScenes
from edgesynth.data.source import load_dataset
from edgesynth.networks import zoo
from edgesynth.networks.source import resolve
from edgesynth.synthesis.generative.layout import Drawing
from edgesynth.synthesis.generative.space import derive_space
from edgesynth.tasks.segmentation import count_pixels, mean_iou
from edgesynth.tasks.source import task_named

PLAIN = Preprocessing(mean=(0.0,), std=(1.0,))


def items() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    pixels = np.zeros((20, 28, 28), np.uint8)
    pixels[:, 6:22, 8:20] = random.integers(60, 256, (20, 16, 12))
    return pixels, np.arange(20) % 10


def test_scenes_are_those_of_the_detection_set() -> None:
    pixels, labels = items()
    masks = MaskedScenes(pixels, labels, count=6, size=64, seed=(1, 1))
    boxes = SceneSplit(pixels, labels, count=6, size=64, seed=(1, 1))
    chosen = np.array([4, 0, 5])
    assert np.array_equal(masks.images(chosen), boxes.images(chosen))
    for mask, found in zip(masks.masks(chosen), boxes.boxes(chosen), strict=True):
        assert set(np.unique(mask)) - {0} == set(found.classes + 1)
        for corners, label in zip(found.corners.astype(int), found.classes, strict=True):
            left, top, right, bottom = corners
            assert (mask[top:bottom, left:right] == label + 1).any()
    again = MaskedScenes(pixels, labels, count=6, size=64, seed=(1, 1))
    assert np.array_equal(again.masks(np.arange(6))[chosen], masks.masks(chosen))
    other = MaskedScenes(pixels, labels, count=6, size=64, seed=(2, 1))
    assert not np.array_equal(other.masks(chosen), masks.masks(chosen))


def test_mean_intersection_over_union() -> None:
    truth = np.array([[[0, 0], [1, UNLABELLED]]], np.uint8)
    found = np.array([[[0, 1], [1, 1]]])
    counts = count_pixels(truth, found, 3)
    assert counts.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert mean_iou(counts) == pytest.approx((1 / 2 + 1 / 2) / 2)  # the third class is nowhere
    assert mean_iou(np.zeros((3, 3), np.int64)) == 0.0
    assert metric_of("segmentation") == "mIoU"


class Masked:
    """Three images whose class is their brightness."""

    def __init__(self) -> None:
        self.pixels = np.random.default_rng(0).integers(0, 2, (3, 1, 4, 4), dtype=np.uint8) * 255

    def __len__(self) -> int:
        return 3

    def images(self, indices: np.ndarray) -> np.ndarray:
        return self.pixels[indices]

    def masks(self, indices: np.ndarray) -> np.ndarray:
        found = (self.pixels[indices, 0] > 0).astype(np.uint8)
        found[:, 0, 0] = UNLABELLED
        return found


def test_the_task_widens_small_maps_and_leaves_out_void() -> None:
    task = task_named("segmentation")
    tell = nn.Conv2d(1, 2, 1)
    with torch.no_grad():
        tell.weight[:] = torch.tensor([-1.0, 1.0])[:, None, None, None]
        tell.bias[:] = torch.tensor([0.5, -0.5])
    data = Masked()
    assert task.score(tell, data, PLAIN) == 1.0
    assert task.score(nn.Sequential(nn.AvgPool2d(2), tell), data, PLAIN) < 1.0
    targets = task.targets(data, np.arange(3))
    assert targets.dtype == torch.int64 and targets[0, 0, 0] == UNLABELLED
    images = torch.from_numpy(data.images(np.arange(3)) / 255).float()
    assert task.loss(tell, images, targets) < 0.5
    nothing = torch.full((3, 4, 4), UNLABELLED)
    assert task.loss(tell, images, nothing) == 0
    with pytest.raises(UserError, match=r"it gives \(2, 5\)"):
        task.require_fit(tell, torch.zeros(2, 5), 5)
    with pytest.raises(UserError, match="no class per pixel"):
        task.targets(ArraySplit(data.pixels, np.zeros(3, np.int64)), np.arange(3))


def camvid(folder: Path, *, last: int = 11) -> Path:
    for part in ("train", "val", "test"):
        (folder / part).mkdir(parents=True)
        (folder / f"{part}annot").mkdir()
        for number in range(2):
            picture = np.full((36, 48, 3), 40 * number, np.uint8)
            mask = np.full((36, 48), number, np.uint8)
            mask[:10] = last
            Image.fromarray(picture).save(folder / part / f"{number}.png")
            Image.fromarray(mask).save(folder / f"{part}annot" / f"{number}.png")
    return folder


def test_camvid_as_it_is_published(tmp_path: Path) -> None:
    found = load_dataset(f"camvid:{camvid(tmp_path / 'c')},size=48x36")
    assert (found.task, found.input_shape, len(found.classes)) == ("segmentation", (3, 36, 48), 11)
    assert [len(each) for each in (found.train, found.validation, found.test)] == [2, 2, 2]
    masks = found.validation.masks(np.array([1]))
    assert masks.shape == (1, 36, 48) and set(np.unique(masks)) == {1, UNLABELLED}
    small = load_dataset(f"camvid:{tmp_path / 'c'},size=32x32@1")
    assert len(small.train) == 1 and small.train.masks(np.array([0])).shape == (1, 32, 32)


def test_a_damaged_camvid_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no folder train"):
        load_dataset(f"camvid:{tmp_path}")
    wrong = load_dataset(f"camvid:{camvid(tmp_path / 'w', last=12)},size=48x36")
    with pytest.raises(UserError, match="has a pixel of class 12"):
        wrong.train.masks(np.array([0]))
    (tmp_path / "w" / "valannot" / "1.png").unlink()
    with pytest.raises(UserError, match=r"has no mask .*1\.png"):
        load_dataset(f"camvid:{tmp_path / 'w'},size=48x36")


def test_refinenet_gives_a_map_and_can_be_generated_from() -> None:
    torch.manual_seed(0)
    module = zoo.build("refinenet", classes=4, in_channels=1, width=0.0625, image=64)
    logits = module(torch.randn(2, 1, 64, 64))
    assert logits.shape == (2, 4, 32, 32)
    logits.mean().backward()
    assert all(torch.isfinite(p.grad).all() for p in module.parameters())
    network = resolve("refinenet:width=0.0625", input_shape=(1, 64, 64), classes=tuple("abcd"))
    assert network.description.task == "segmentation"
    space = derive_space(network)
    figures = Drawing(network, space)
    least = figures.figures(figures.lay_out(space.choice(space.smallest)))
    whole = figures.figures(figures.lay_out({}))
    assert least.macs < 0.1 * whole.macs


@pytest.mark.slow
def test_from_training_to_a_bundle(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    parent, bundle = tmp_path / "p.edgenet", tmp_path / "p.bundle"
    words = ["train", "refinenet:width=0.0625", "--data", f"{__name__}:tiny", "--epochs", "1"]
    assert run([*words, "--out", str(parent), "--quiet", "--json"]) == 0
    trained = json.loads(capfd.readouterr().out)
    assert trained["metric"] == "mIoU" and 0 <= trained["accuracy"]["test"] <= 1
    assert run(["export", str(parent), "--out", str(bundle), "--quiet"]) == 0
    assert json.loads((bundle / "manifest.json").read_text())["task"] == "segmentation"
    assert run(["check", str(bundle), "--against", str(parent), "--quiet"]) == 0
    assert run(["predict", str(bundle), "--device", "tx2", "--quiet"]) == 0


def tiny():
    """A data set of scenes that is made in no time."""
    from edgesynth.core.dataset import Dataset

    pixels, labels = items()
    parts = [MaskedScenes(pixels, labels, count=8, size=64, seed=(9, n)) for n in range(3)]
    return Dataset(
        name="tiny", input_shape=(1, 64, 64), classes=tuple("0abcdefghij"), mean=(0.3,), std=(0.2,),
        train=parts[0], validation=parts[1], test=parts[2], task="segmentation",
    )  # fmt: skip
