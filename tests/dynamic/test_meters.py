"""What stages cost, in every unit that `adapt --cost` knows."""

import pytest
import torch

from edgesynth.core.errors import UserError
from edgesynth.core.network import Exit
from edgesynth.core.requirement import parse_requirements
from edgesynth.networks import zoo
from edgesynth.networks.exits import ExitNetwork
from edgesynth.workflows.adapt import Wanted
from edgesynth.workflows.adapt.meters import DISPATCH_MS, exit_costs
from edgesynth.workflows.adapt.wanted import parse_cost

IMAGE = (1, 28, 28)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    module = zoo.build("lenet5", classes=10, in_channels=1, image=28)
    return ExitNetwork(module, [Exit("pool1", 1, 4), Exit("relu2", 0)], IMAGE, 10).eval()


@pytest.mark.parametrize(
    ("text", "unit"), [("latency@tx2", "ms@tx2"), ("energy@tx2", "mJ@tx2"), ("measured", "ms")]
)
def test_stages_and_heads_have_a_price_in_every_unit(network, text, unit):
    costs = exit_costs(network, IMAGE, parse_cost(text))
    assert costs.unit == unit and len(costs.trunk) == 3 and len(costs.heads) == 2
    assert all(each > 0 for each in costs.trunk) and all(each >= 0 for each in costs.heads)
    assert len(costs.stages) == 3 and costs.stages[-1] == costs.trunk[-1]
    if text == "latency@tx2":
        assert costs.overhead == DISPATCH_MS
        assert costs.stages[0] == pytest.approx(costs.trunk[0] + costs.heads[0] + DISPATCH_MS)
        assert min(costs.heads) > 0  # a head is a few kernels, whatever little they compute


def test_macs_are_counted_exactly(network):
    costs = exit_costs(network, IMAGE, parse_cost("macs"))
    # 24 x 24 x 20 x 25, then 8 x 8 x 50 x 500, then 800 x 500 and 500 x 10
    assert costs.trunk == (288_000, 1_600_000, 405_000)
    assert costs.heads == (6 * 6 * 4 * 180 + 144 * 10, 500)
    assert costs.overhead == 10  # a linear gate


def test_how_costs_are_written():
    assert parse_cost("latency@tx1").key == "latency_mean_ms"
    for wrong in ("latency", "macs@tx2", "watts"):
        with pytest.raises(UserError, match="is none of macs"):
            parse_cost(wrong)
    with pytest.raises(UserError, match="tx9"):
        parse_cost("energy@tx9")
    wanted = Wanted(
        requirements=parse_requirements(("latency_mean<=5ms@tx2", "accuracy>=0.9")),
        cost=parse_cost("latency@tx2"),
    )
    assert wanted.goal(0.95).cost_key == "latency_mean_ms"
