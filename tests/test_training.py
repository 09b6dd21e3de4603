"""Training: seeded, resumable after an interruption, true to masks, and it learns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgesynth.core.dataset import ArraySplit, Dataset
from edgesynth.core.errors import UserError
from edgesynth.core.network import Preprocessing
from edgesynth.networks.network import Network
from edgesynth.tasks.classification import accuracy, to_input
from edgesynth.tasks.hooks import AfterStep
from edgesynth.tasks.layout import preferred_layout
from edgesynth.tasks.training import TrainingPlan, train
from small_networks import Plain, Residual, network


def stripes(name: str = "stripes", count: int = 160) -> Dataset:
    """Five classes told apart by where a bright stripe lies."""
    rng = np.random.default_rng(0)

    def split(number: int) -> ArraySplit:
        labels = rng.integers(0, 5, number)
        pixels = rng.integers(0, 60, (number, 3, 12, 12), dtype=np.uint8)
        for image, label in zip(pixels, labels, strict=True):
            image[:, 2 * label : 2 * label + 2] += 120
        return ArraySplit(pixels, labels)

    half, quarter = (0.5,) * 3, (0.25,) * 3
    classes = tuple("abcde")
    parts = split(count), split(50), split(50)
    return Dataset(name, (3, 12, 12), classes, half, quarter, *parts)


PLAN = TrainingPlan(epochs=3, batch=16)


def trained(
    dataset: Dataset,
    seed: int = 0,
    checkpoint: Path | None = None,
    after_step: Callable[[], None] = lambda: None,
    of: Network | None = None,
) -> Network:
    of = of or network(Residual)
    train(
        of.module,
        dataset,
        of.description.preprocessing,
        PLAN,
        seed=seed,
        checkpoint=checkpoint,
        hooks=[AfterStep(after_step)],
    )
    return of


def same(left: Network, right: Network) -> bool:
    other = right.module.state_dict()
    return all(torch.equal(other[name], t) for name, t in left.module.state_dict().items())


def test_it_learns() -> None:
    dataset = stripes(count=900)
    found = trained(dataset, of=network(Plain))
    assert accuracy(found.module, dataset.test, found.description.preprocessing) >= 0.9


def test_same_seed_same_weights_other_seed_other_weights() -> None:
    dataset = stripes()
    assert same(trained(dataset), trained(dataset))
    assert not same(trained(dataset), trained(dataset, seed=1))


def test_an_interrupted_training_ends_with_the_same_weights(tmp_path: Path) -> None:
    dataset = stripes()
    checkpoint = tmp_path / "state"
    steps = 0

    def pull_the_plug() -> None:
        nonlocal steps
        steps += 1
        if steps == 15:  # in the second epoch of ten steps
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(dataset, checkpoint=checkpoint, after_step=pull_the_plug)
    resumed = trained(dataset, checkpoint=checkpoint, of=network(Residual, seed=5))
    assert same(resumed, trained(dataset))


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    trained(stripes(), checkpoint=tmp_path / "state")
    with pytest.raises(UserError, match="another training"):
        trained(stripes(), seed=1, checkpoint=tmp_path / "state")


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"\x80\x04cos\nsystem\n."])
def test_a_broken_checkpoint_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state").write_bytes(content)
    with pytest.raises(UserError, match="cannot be used") as caught:
        trained(stripes(), checkpoint=tmp_path / "state")
    assert "\n" not in str(caught.value)


def test_masked_synapses_stay_exactly_zero() -> None:
    parent = network(Residual)
    torch.manual_seed(0)
    parent.masks = {"inner.weight": torch.rand(6, 8, 3, 3) > 0.7}
    parent.apply_masks()
    found = trained(stripes(), after_step=parent.apply_masks, of=parent)
    weight = found.module.get_parameter("inner.weight")
    assert (weight[~parent.masks["inner.weight"]] == 0).all()
    assert (weight[parent.masks["inner.weight"]] != 0).all()


def test_an_exploding_loss_is_said_with_the_remedy() -> None:
    dataset = stripes()
    parent = network(Residual)
    with pytest.raises(UserError, match=r"the loss is nan.*--learning-rate"):
        parent.module.get_parameter("head.weight").data.fill_(float("nan"))
        trained(dataset, of=parent)


def test_preprocessing_by_hand() -> None:
    pixels = np.array([0, 255, 51], dtype=np.uint8).reshape(1, 1, 1, 3)
    found = to_input(pixels, Preprocessing(mean=(0.2,), std=(0.5,)))
    expected = torch.tensor([-0.4, 1.6, 0.0]).view(1, 1, 1, 3)
    torch.testing.assert_close(found, expected)


def test_accuracy_counts_every_image_once() -> None:
    """A network that always says class 2, on labels with a known share of 2."""
    found = network(Residual)
    found.module.get_parameter("head.weight").data.zero_()
    found.module.get_parameter("head.bias").data.copy_(torch.tensor([0.0, 0, 1, 0, 0]))
    labels = np.array([2, 2, 1, 0, 2, 4, 2])
    split = ArraySplit(np.zeros((7, 3, 12, 12), dtype=np.uint8), labels)
    assert accuracy(found.module, split, found.description.preprocessing, batch=3) == 4 / 7


def test_a_network_that_flattens_with_view_trains_too():
    class Viewing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 4, 3)
            self.linear = nn.Linear(4 * 36, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.conv(x).relu()
            return self.linear(x.view(x.size(0), -1))

    assert preferred_layout(Viewing(), (1, 8, 8)) == torch.contiguous_format
    assert preferred_layout(nn.Conv2d(1, 4, 3), (1, 8, 8)) == torch.channels_last
