"""Weights on a grid: by hand, through training, through a file, and what they cost to store."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import nn

from edgesynth.core.errors import UserError
from edgesynth.core.precision import (
    FORMATS,
    LayerStorage,
    PrecisionPolicy,
    format_named,
    parse_precision,
)
from edgesynth.networks import edgenet
from edgesynth.networks.grid import codes_of, from_rows, storage_of, to_rows, weighted_layers
from edgesynth.networks.network import Network
from edgesynth.synthesis.environment import Environment, parse_environment
from edgesynth.synthesis.genome import Genome
from edgesynth.synthesis.heredity import live_synapses, synthesize
from edgesynth.synthesis.precision import (
    PrecisionHook,
    as_parent,
    check_schedule,
    quantize,
    restrict,
)
from edgesynth.tasks.hooks import Moment
from edgesynth_rt.files import sha256_of
from small_networks import ALL, Inception, Plain, Residual, network

INTEGERS = [name for name, form in FORMATS.items() if form.is_integer]


def policy(name: str, *keep: str) -> PrecisionPolicy:
    return PrecisionPolicy(FORMATS[name], keep)


def check(name: str, rows: list[list[float]], expected: list[list[float]]) -> torch.Tensor | None:
    found = quantize(torch.tensor(rows), FORMATS[name])
    torch.testing.assert_close(found.rows, torch.tensor(expected), rtol=0, atol=1e-7)
    return found.scales


def test_four_bits_by_hand() -> None:
    """One scale per row: 0.7 / 7 = 0.1 and 1.4 / 7 = 0.2; 0.25 / 0.1 = 2.5 rounds to even."""
    rows = [[0.7, -0.34, 0.26, 0.04], [-1.4, 0.31, 0.0, 0.29]]
    scales = check("int4", rows, [[0.7, -0.3, 0.3, 0.0], [-1.4, 0.4, 0.0, 0.2]])
    torch.testing.assert_close(scales, torch.tensor([0.1, 0.2]))


def test_three_and_two_and_eight_bits_by_hand() -> None:
    check("int3", [[0.9, -0.5, 0.14]], [[0.9, -0.6, 0.0]])  # scale 0.3: codes 3, -1.67, 0.47
    check("int2", [[0.8, -0.41, 0.39]], [[0.8, -0.8, 0.0]])  # scale 0.8: codes 1, -0.51, 0.49
    check("int8", [[1.27, -0.123, 0.004]], [[1.27, -0.12, 0.0]])  # scale 0.01


def test_ternary_by_hand() -> None:
    """Mean |w| = 0.5, threshold 0.35; above it 0.9, 0.5 and 0.4, whose mean 0.6 is the scale."""
    scales = check("ternary", [[0.9, -0.5, 0.2, 0.4]], [[0.6, -0.6, 0.0, 0.6]])
    torch.testing.assert_close(scales, torch.tensor([0.6]))


def test_the_ternary_threshold_is_that_of_the_live_weights() -> None:
    """Of 1, 0.5 and two dead weights: threshold 0.7 * 0.75, and not 0.7 * 0.375."""
    rows, live = torch.tensor([[1.0, 0.5, 0.0, 0.0]]), torch.tensor([[True, True, False, False]])
    found = quantize(rows, FORMATS["ternary"], live)
    torch.testing.assert_close(found.rows, torch.tensor([[1.0, 0, 0, 0]]))
    found = quantize(rows, FORMATS["ternary"])
    torch.testing.assert_close(found.rows, torch.tensor([[0.75, 0.75, 0, 0]]))


def test_half_precision_rounds_and_never_overflows() -> None:
    rows = torch.tensor([[1.0 + 2**-12, 1e6, -1e6, 2.0**-24, 2.0**-26]])
    found = quantize(rows, FORMATS["fp16"]).rows
    assert found.tolist() == [[1.0, 65504.0, -65504.0, 2.0**-24, 0.0]]


def test_a_channel_without_weights_has_a_positive_scale() -> None:
    for name in INTEGERS:
        found = quantize(torch.tensor([[0.0, -0.0], [1e-42, 0.0]]), FORMATS[name])
        assert found.scales is not None and found.scales.tolist() == [1.0, 1.0]
        assert (found.rows == 0).all()


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(INTEGERS),
    seed=st.integers(0, 10**6),
    exponent=st.integers(-30, 30),
)
def test_codes_are_recovered_bit_for_bit(name: str, seed: int, exponent: int) -> None:
    generator = np.random.default_rng(seed)
    rows = generator.standard_normal((6, 40)) * 2.0 ** (exponent + generator.normal(0, 2, (6, 1)))
    found = quantize(torch.from_numpy(rows.astype(np.float32)), FORMATS[name])
    assert found.scales is not None
    codes = torch.round(found.rows / found.scales[:, None])
    assert torch.equal(codes * found.scales[:, None], found.rows)
    assert codes.abs().max() <= (FORMATS[name].top or 0)


@pytest.mark.parametrize("kind", ALL)
def test_rows_are_output_channels(kind: type[nn.Module]) -> None:
    for layer in weighted_layers(kind()).values():
        weight = layer.get_parameter("weight").detach()
        assert torch.equal(from_rows(to_rows(weight, layer), layer), weight)


def test_rows_of_a_grouped_transposed_convolution() -> None:
    """Output channel 2 of 4 is the first of the second group, which reads inputs 3 to 5."""
    layer = nn.ConvTranspose2d(6, 4, 2, groups=2)
    rows = to_rows(layer.weight.detach(), layer)
    assert torch.equal(rows[2], layer.weight.detach()[3:, 0].flatten())
    assert torch.equal(from_rows(rows, layer), layer.weight.detach())


def test_the_shadows_are_back_bit_for_bit_when_the_optimizer_steps() -> None:
    net = network(Plain)
    before = {name: p.detach().clone() for name, p in net.module.named_parameters()}
    hook, moment = PrecisionHook(net, policy("int4", "f1")), Moment(0, 0, 0.0)
    x = torch.randn(4, 3, 12, 12)
    hook.before_forward(moment)
    grid = {name: p.detach().clone() for name, p in net.module.named_parameters()}
    loss = net.module(x).square().sum()
    loss.backward()
    hook.after_backward(moment)
    for name, parameter in net.module.named_parameters():
        assert torch.equal(parameter, before[name])
    changed = {name for name in before if not torch.equal(grid[name], before[name])}
    assert changed == {f"{name}.weight" for name in weighted_layers(net.module)} - {"f1.weight"}
    straight = {name: p.grad for name, p in net.module.named_parameters()}
    restrict(net, policy("int4", "f1"))  # the same network, really on the grid
    net.module.zero_grad()
    net.module(x).square().sum().backward()
    for name, parameter in net.module.named_parameters():
        assert torch.equal(parameter, grid[name])
        torch.testing.assert_close(parameter.grad, straight[name])


@pytest.mark.parametrize("name", list(FORMATS))
def test_a_restricted_network_is_the_same_after_a_file(tmp_path: Path, name: str) -> None:
    net = synthesize([network(Inception)], Genome(Environment("synapses", 0.7)), (0, 2, 1))
    restrict(net, policy(name, "c"))
    edgenet.save(net, tmp_path / "a.edgenet")
    loaded = edgenet.load(tmp_path / "a.edgenet", trust=("small_networks:Inception",))
    assert loaded.description.precision.weights == (
        {} if name == "fp32" else dict.fromkeys(("a", "b", "up"), name)
    )
    for layer, module in weighted_layers(net.module).items():
        assert torch.equal(loaded.module.get_submodule(layer).weight, module.weight)
        if name in INTEGERS and layer != "c":
            assert torch.equal(codes_of(loaded, layer), codes_of(net, layer))
    assert storage_of(loaded) == storage_of(net)


def saved(tmp_path: Path) -> Path:
    net = network(Residual)
    restrict(net, policy("int4"))
    edgenet.save(net, tmp_path / "a.edgenet")
    return tmp_path / "a.edgenet"


def spoil(folder: Path, key: str, value: torch.Tensor | None) -> None:
    """Replace one tensor (None takes it away), and set the hash right as an attacker would."""
    path = folder / "weights.safetensors"
    tensors = {name: t.clone() for name, t in load_file(str(path)).items()}
    if value is None:
        del tensors[key]
    else:
        tensors[key] = value
    save_file(tensors, str(path))
    document = json.loads((folder / "network.json").read_text())
    document["weights_sha256"] = sha256_of(path)
    (folder / "network.json").write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("scale/inner.weight", None, r"no tensor scale/inner\.weight"),
        ("scale/inner.weight", torch.ones(3), r"not float32 with 6 values"),
        ("scale/inner.weight", torch.full((6,), float("nan")), "not a positive number"),
        ("scale/inner.weight", torch.zeros(6), "not a positive number"),
        ("scale/inner.weight", torch.full((6,), 0.37), "layer inner are not on the grid of int4"),
        ("scale/absent.weight", torch.ones(1), r"scale/absent\.weight belongs to no layer"),
        ("inner.weight", torch.full((6, 8, 3, 3), 0.1), "not on the grid of int4"),
    ],
)
def test_a_file_off_its_grid_is_refused(
    tmp_path: Path, key: str, value: torch.Tensor | None, message: str
) -> None:
    folder = saved(tmp_path)
    spoil(folder, key, value)
    with pytest.raises(UserError, match=message) as caught:
        edgenet.load(folder, trust=("small_networks:Residual",))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"inner": "int5"}, 'no weight format "int5"'),
        ({"nothing": "int4"}, '"nothing" is not a layer with weights'),
        ({"inner": "fp16"}, "not on the grid of fp16"),
    ],
)
def test_a_description_of_another_grid_is_refused(
    tmp_path: Path, weights: dict[str, str], message: str
) -> None:
    folder = saved(tmp_path)
    document = json.loads((folder / "network.json").read_text())
    document["precision"] = {"weights": weights}
    (folder / "network.json").write_text(json.dumps(document))
    with pytest.raises(UserError, match=message):
        edgenet.load(folder, trust=("small_networks:Residual",))


def test_zeros_of_the_grid_die_with_certainty() -> None:
    parent = network(Plain)
    prepared = as_parent(parent, policy("ternary"))
    child = synthesize([prepared], Genome(Environment("factor", 1.0)), (0, 2, 1))
    for name, layer in weighted_layers(child.module).items():
        zero = layer.get_parameter("weight") == 0
        assert not child.masks[f"{name}.weight"][zero].any(), name
        assert child.masks[f"{name}.weight"][~zero].all(), name
    assert prepared.description.precision.weights == child.description.precision.weights == {}
    untouched = network(Plain).module.get_parameter("f1.weight")
    assert torch.equal(parent.module.get_parameter("f1.weight"), untouched)


def test_zeros_of_the_grid_are_part_of_what_a_budget_takes() -> None:
    parent = network(Plain)
    prepared = as_parent(parent, policy("int4"))
    whole, left = live_synapses(parent), live_synapses(prepared)
    assert 0.6 * whole < left < whole
    half = Genome(parse_environment("synapses=0.5:global"))
    child = synthesize([prepared], half, (0, 2, 1), whole=parent)
    assert live_synapses(child) == pytest.approx(whole / 2, rel=0.02)
    gentle = Genome(parse_environment("synapses=0.99:global"))
    assert live_synapses(synthesize([prepared], gentle, (0, 2, 1), whole=parent)) <= left


def test_zeros_of_the_grid_are_counted_apart_from_culled_synapses() -> None:
    net = network(Plain)
    weight = net.module.get_parameter("f1.weight")
    net.masks["f1.weight"] = (
        torch.rand(weight.shape, generator=torch.Generator().manual_seed(0)) > 0.5
    )
    net.apply_masks()
    restrict(net, policy("int3"))
    (layer,) = (each for each in storage_of(net).layers if each.layer == "f1")
    live = net.masks["f1.weight"]
    assert layer.live == int(live.sum())
    assert layer.zeros == int(((weight == 0) & live).sum()) > 0


def test_storage_by_hand() -> None:
    """10 rows of 300; 600 of 3000 weights live, at 4 bits 300 bytes, scales 40 bytes."""
    layer = LayerStorage("fc", FORMATS["int4"], rows=10, columns=300, live=600)
    assert layer.weight_bytes == 300
    assert layer.scale_bytes == 40
    assert layer.with_index() == {
        "dense": 1500,  # 3000 codes
        "bitmask": 300 + 375,  # 3000 bits
        "csr": 300 + 600 * 2 + 4 * 11,  # two bytes tell 300 columns apart
    }
    assert layer.index == "bitmask" and layer.bytes_with_index == 675 + 40
    sparse = LayerStorage("fc", FORMATS["fp32"], rows=10, columns=256, live=20)
    assert sparse.with_index()["csr"] == 80 + 20 * 1 + 44 and sparse.index == "csr"
    assert sparse.scale_bytes == 0
    full = LayerStorage("fc", FORMATS["int4"], rows=10, columns=300, live=3000)
    assert full.index == "dense" and full.bytes_with_index == 1500 + 40


def test_schedules() -> None:
    schedule = parse_precision("fp32, fp16,int8,int4")
    names = [schedule.policy(generation).weights.name for generation in range(1, 7)]
    assert names == ["fp32", "fp16", "int8", "int4", "int4", "int4"]
    assert {parse_precision("int4").policy(g).weights.name for g in (1, 2, 9)} == {"int4"}
    with pytest.raises(UserError, match='no weight format "int5"; did you mean "int'):
        parse_precision("fp32,int5")
    with pytest.raises(UserError, match="activations of 4 bits run on no engine; use 8"):
        parse_precision("int4", activation_bits=4)


def test_a_schedule_must_fit_the_ancestor() -> None:
    net = network(Residual)
    check_schedule(net, parse_precision("int4"))
    check_schedule(net, parse_precision("fp32,int4"))
    with pytest.raises(UserError, match="whose weights are fp32; write fp32,fp16,int4"):
        check_schedule(net, parse_precision("fp16,int4"))
    with pytest.raises(UserError, match='no layer "haed" to keep in fp32; did you mean "head"'):
        check_schedule(net, parse_precision("int4", keep=["haed"]))


def test_weights_that_are_not_finite_are_refused() -> None:
    net: Network = network(Residual)
    net.module.get_parameter("head.weight").data[0, 0] = float("inf")
    with pytest.raises(UserError, match="layer head has weights that are not finite"):
        restrict(net, policy("int8"))


def test_every_format_is_found_by_its_name() -> None:
    assert [format_named(name).name for name in FORMATS] == list(FORMATS)
