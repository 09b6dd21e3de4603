"""Cutting networks into stages and putting exits on them."""

import pytest
import torch
from torch import nn

from edgesynth.core.errors import UserError
from edgesynth.core.network import Exit
from edgesynth.dynamic.costs import break_even, macs_of
from edgesynth.dynamic.placing import candidates, choose_exits, parse_exit
from edgesynth.hardware.counting import count
from edgesynth.networks import zoo
from edgesynth.networks.cut import cut, ends_of, places, trace
from edgesynth.networks.exits import ExitNetwork

IMAGE = (1, 28, 28)
ZOO = ["lenet5", "alexnet", "resnet20", "googlenet", "squeezenet", "vgg16"]


def network(name: str) -> nn.Module:
    torch.manual_seed(0)
    shape = (1, 32, 32) if name in ("googlenet", "squeezenet", "vgg16") else IMAGE
    module = zoo.build(name, classes=10, in_channels=1, image=shape[1], width=0.125)
    module.image = shape
    return module.eval()


@pytest.mark.parametrize("name", ZOO)
def test_stages_compute_what_the_network_computes(name):
    module = network(name)
    images = torch.randn(3, *module.image)
    traced = trace(module)
    layers = list(places(traced, images))
    chosen = layers[1 : len(layers) - 1 : max(1, len(layers) // 3)]
    stages = cut(traced, chosen, images)
    assert len(stages) == len(chosen) + 1
    with torch.no_grad():
        ends = list(ends_of(stages, images))
        assert torch.equal(ends[-1], module(images))
    seen = {}
    for layer in chosen:
        keep = lambda _, __, out, key=layer: seen.update({key: out})  # noqa: E731
        module.get_submodule(layer).register_forward_hook(keep)
    module(images)
    for layer, end in zip(chosen, ends, strict=False):
        assert torch.equal(seen[layer], end), layer


def test_a_cut_inside_a_residual_block_hands_the_shortcut_on():
    module = network("resnet20")
    images = torch.randn(2, *IMAGE)
    first, second, last = cut(trace(module), ["layer1.0.relu1", "layer2.0.bn1"], images)
    assert len(first.outputs) == 2 and set(first.outputs) == set(second.inputs)
    assert len(last.inputs) == 2
    with torch.no_grad():
        assert torch.equal([*ends_of([first, second, last], images)][-1], module(images))


class Deciding(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())

    def forward(self, x):
        return self.layer(x) if x.sum() > 0 else x


def test_what_cannot_be_cut_is_told_in_one_line():
    with pytest.raises(UserError, match="its forward pass depends on values"):
        trace(Deciding())
    module = network("lenet5")
    images = torch.randn(2, *IMAGE)
    with pytest.raises(UserError, match='no layer "conv9"; did you mean'):
        cut(trace(module), ["conv9"], images)
    with pytest.raises(UserError, match="in the order in which they are reached"):
        cut(trace(module), ["conv2", "conv1"], images)


def test_heads_share_the_backbones_layers():
    module = network("resnet20")
    exits = [Exit("layer1.0", 1, 4), Exit("layer2", 0)]
    whole = ExitNetwork(module, exits, IMAGE, 10).eval()
    names = list(whole.state_dict())
    assert len(names) == len(set(names)) and all(
        name.startswith(("backbone.", "heads.0.", "heads.1.")) for name in names
    )
    images = torch.randn(2, *IMAGE)
    with torch.no_grad():
        logits = whole(images)
        assert [tuple(each.shape) for each in logits] == [(2, 10)] * 3
        module.fc.bias += 1.0
        assert torch.allclose(whole(images)[-1], logits[-1] + 1.0, atol=1e-6)


def test_a_frozen_backbone_stays_in_evaluation_mode():
    whole = ExitNetwork(network("resnet20"), [Exit("layer1")], IMAGE, 10)
    whole.frozen = True
    whole.train()
    assert whole.heads[0].training and not whole.backbone.bn1.training


def test_costs_of_stages_add_up_to_those_of_the_network():
    module = network("googlenet")
    shape = module.image
    whole = ExitNetwork(module, [Exit("pool3", 1, 8), Exit("stage4", 0)], shape, 10).eval()
    costs = macs_of(whole, shape)
    assert costs.full == count(module, shape).macs
    # 3 x 3 x channels x 8 filters, at half of 8 x 8, then 4 x 4 x 8 -> 10
    channels = places(trace(module), torch.zeros(1, *shape))["pool3"][0]
    assert costs.heads[0] == 9 * channels * 8 * 16 + 16 * 8 * 10
    first, second = break_even(["pool3", "stage4"], costs)
    assert first.before == pytest.approx(costs.trunk[0] / costs.full)
    assert first.share == pytest.approx((costs.heads[0] + 10) / (costs.trunk[1] + costs.trunk[2]))
    assert second.saved == pytest.approx(costs.trunk[2] / costs.full)


def test_exits_are_proposed_where_they_can_pay():
    module = network("resnet20")
    found = candidates(module, IMAGE, 10, Exit("", 1, 4))
    layers = [one.layer for one in found]
    # behind whole blocks, not between a convolution and its normalization
    assert layers[:3] == ["relu", "layer1.0", "layer1.1"] and "bn1" not in layers
    assert [one.before for one in found] == sorted(one.before for one in found)
    chosen = choose_exits(found, 3, Exit("", 1, 4))
    assert len({each.layer for each in chosen}) == 3 and chosen[0].channels == 4
    with pytest.raises(UserError, match="no layer was found behind which an exit could pay"):
        choose_exits(candidates(module, IMAGE, 10, Exit("", 4, 512)), 2, Exit("", 4, 512))


def test_how_exits_are_written():
    assert parse_exit("layer2.0", Exit("", 2, 32)) == Exit("layer2.0", 2, 32)
    assert parse_exit("layer2.0:0x1", Exit("", 2, 32)) == Exit("layer2.0", 0, 1)
    with pytest.raises(UserError, match="is not LAYER or LAYER:CONVOLUTIONSxCHANNELS"):
        parse_exit("a:b", Exit(""))
