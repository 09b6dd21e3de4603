"""Which validation images a trained network has not seen."""

from pathlib import Path

import msgspec
import pytest

from edgesynth.core.network import Lineage
from edgesynth.networks import edgenet
from edgesynth.workflows.unseen import validation_seed
from small_networks import Plain, network


@pytest.mark.parametrize(
    ("trained_on", "seed", "data", "found"),
    [
        ("fashion-mnist@3000", 7, "fashion-mnist", (7, True)),
        ("fashion-mnist", 7, "fashion-mnist@500", (7, True)),
        ("fashion-mnist", None, "fashion-mnist", (1, False)),
        ("digits", 7, "fashion-mnist", (1, False)),
        ("fashion-mnist,size=48", 7, "fashion-mnist", (1, False)),
    ],
)
def test_the_seed_of_its_training(
    trained_on: str, seed: int | None, data: str, found: tuple[int, bool], tmp_path: Path
) -> None:
    trained = network(Plain)
    trained.description = msgspec.structs.replace(
        trained.description, data=trained_on, lineage=Lineage(seed=seed)
    )
    edgenet.save(trained, tmp_path / "n.edgenet")
    assert validation_seed(str(tmp_path / "n.edgenet"), data, 1) == found


def test_what_is_no_edgenet_does_not_say() -> None:
    assert validation_seed("lenet5", "fashion-mnist", 3) == (3, False)
