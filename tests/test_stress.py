"""Stress: what weakens, when, and that nothing is left of it behind a step."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from edgesynth.core.errors import UserError
from edgesynth.networks.network import Network
from edgesynth.synthesis.channels import trace_channels
from edgesynth.synthesis.environment import Environment
from edgesynth.synthesis.genome import Genome
from edgesynth.synthesis.heredity import synthesize
from edgesynth.synthesis.odds import odds_of
from edgesynth.synthesis.stress import Stress, parse_stress
from edgesynth.synthesis.stress_hook import StressHook
from edgesynth.tasks.hooks import Moment
from small_networks import ALL, Mobile, Plain, Residual, network

CLUSTER = Genome(Environment("factor", 0.7), "cluster")
SYNAPSE = Genome(Environment("factor", 0.7), "synapse")
HALF = Genome(Environment("synapses", 0.5))
STRESSED = Moment(seed=3, step=900, done=0.9)


def state(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def weakened(of: Network, stress: str, genome: Genome, moment: Moment) -> dict[str, torch.Tensor]:
    """Each parameter in the stressed step over its own value."""
    parameters = dict(of.module.named_parameters())
    before = {name: parameter.detach().clone() for name, parameter in parameters.items()}
    hook = StressHook(of, parse_stress(stress), genome)
    hook.before_forward(moment)
    found = {name: p.detach() / before[name] for name, p in parameters.items()}
    hook.after_backward(moment)
    return found


@pytest.mark.parametrize(
    ("done", "step", "expected"),
    [
        (0.0, 0, 0.0),
        (0.299, 298, 0.0),
        (0.3, 300, 0.0),  # the ramp starts from nothing
        (0.4, 400, 0.125),
        (0.5, 500, 0.25),
        (0.5, 501, 0.0),  # every second step
        (0.7, 700, 0.5),
        (0.999, 998, 0.5),
    ],
)
def test_the_schedule(done: float, step: int, expected: float) -> None:
    assert parse_stress("bernoulli:0.5").at(done, step) == pytest.approx(expected)


def test_a_schedule_of_ones_own() -> None:
    stress = parse_stress("bernoulli:0.4,start=0.5,full=0.5,end=0.8,every=3")
    assert stress == Stress("bernoulli", 0.4, 0.5, 0.5, 0.8, 3)
    points = [(0.49, 3), (0.5, 3), (0.5, 4), (0.79, 6), (0.8, 6)]
    assert [stress.at(*point) for point in points] == [0, 0.4, 0, 0.4, 0]


def test_synapses_that_a_draw_lets_die_lose_their_share() -> None:
    parent = network(Plain)
    factors = weakened(parent, "bernoulli:0.4", SYNAPSE, STRESSED)["f1.weight"]
    assert torch.allclose(factors[factors != 1], torch.tensor(0.6))
    weight = parent.module.get_parameter("f1.weight").detach().abs().double()
    chance = 0.7 * torch.exp(weight / weight.max() - 1)
    deviation = math.sqrt(float((chance * (1 - chance)).sum())) / chance.numel()
    survivors = (factors == 1).double().mean()
    assert float(survivors) == pytest.approx(float(chance.mean()), abs=3 * deviation)


def test_clusters_are_weakened_as_a_whole_and_the_classifier_is_not() -> None:
    factors = weakened(network(Plain), "bernoulli:0.5", CLUSTER, STRESSED)
    for name in ("c1", "c2", "f1"):
        rows = factors[f"{name}.weight"].flatten(1)
        assert torch.equal(rows, rows[:, :1].expand_as(rows))
        assert torch.equal(rows[:, 0], factors[f"{name}.bias"])
        assert set(rows.unique().tolist()) == {0.5, 1.0}
    assert (factors["f2.weight"] == 1).all()


def test_behind_a_normalization_that_would_undo_it() -> None:
    factors = weakened(network(Residual), "bernoulli:0.5", CLUSTER, STRESSED)
    assert torch.equal(factors["norm.weight"], factors["norm2.weight"])  # tied by the addition
    assert torch.equal(factors["norm.weight"], factors["norm.bias"])
    assert (factors["norm.weight"] == 0.5).any()
    assert (factors["stem.weight"] == 1).all()
    assert (factors["inner.weight"] == 0.5).any()  # not normalized
    assert (
        weakened(network(Mobile), "bernoulli:0.5", CLUSTER, STRESSED)["depth.weight"] == 1
    ).all()


def test_uniform_weakens_all_alike() -> None:
    factors = weakened(network(Plain), "uniform:0.5", HALF, STRESSED)
    assert all((factors[f"{name}.weight"] == 0.5).all() for name in ("c1", "c2", "f1", "f2"))


def test_l1_adds_lambda_times_one_minus_p_times_the_sign() -> None:
    parent = network(Plain)
    weight = parent.module.get_parameter("f1.weight")
    for parameter in parent.module.parameters():
        parameter.grad = torch.zeros_like(parameter)
    hook = StressHook(parent, parse_stress("l1:0.01"), SYNAPSE)
    before = state(parent.module)
    hook.before_forward(STRESSED)
    hook.after_backward(STRESSED)
    values = weight.detach()
    chance = 0.7 * torch.exp(values.abs() / values.abs().max() - 1)
    torch.testing.assert_close(weight.grad, 0.01 * (1 - chance) * values.sign())
    assert all(torch.equal(before[name], tensor) for name, tensor in state(parent.module).items())


@pytest.mark.parametrize("encoding", ["synapse", "cluster", "both"])
def test_after_a_cull_the_synthesis_takes_nothing_that_is_alive(encoding: str) -> None:
    torch.manual_seed(0)
    parent = network(Residual)
    genome = Genome(Environment("synapses", 0.4), encoding, pressure=1e5)
    hook = StressHook(parent, parse_stress("cull"), genome)
    optimizer = torch.optim.AdamW(parent.module.parameters(), lr=1e-3)
    images = parent.example_input(8)
    living = []
    for step in range(200):
        optimizer.param_groups[0]["lr"] = 1e-3 * (1 - step / 200)
        moment = Moment(0, step, step / 200)
        hook.before_forward(moment)
        living.append(sum(int(p.count_nonzero()) for p in parent.module.parameters()))
        parent.module(images).square().mean().backward()
        hook.after_backward(moment)
        optimizer.step()
    assert living[0] > living[60] > living[140] == living[199]  # a few at a time, done at 0.7
    hook.before_forward(Moment(0, 200, 0.999))
    parent.module.eval()
    with torch.no_grad():
        before = parent.module(images)
        after = synthesize([parent], genome, (0, 2)).module(images)
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("genome", [CLUSTER, SYNAPSE, HALF, Genome(HALF.environment, "synapse")])
def test_weights_and_statistics_come_back_bit_by_bit(kind: type[nn.Module], genome: Genome) -> None:
    parent = synthesize([network(kind)], Genome(Environment("synapses", 0.6), "synapse"), (0, 2))
    parent.module.train()
    before = state(parent.module)
    hook = StressHook(parent, parse_stress("bernoulli:0.5"), genome)
    hook.before_forward(STRESSED)
    assert any(not torch.equal(before[n], t) for n, t in parent.module.state_dict().items())
    for name, mask in parent.masks.items():  # what is dead stays dead in between
        assert (parent.module.get_parameter(name)[~mask] == 0).all()
    parent.module(torch.randn(4, *parent.description.input_shape)).sum().backward()
    hook.after_backward(STRESSED)
    after = parent.module.state_dict()
    counters = [name for name in after if name.endswith("num_batches_tracked")]
    assert all(torch.equal(before[name], after[name]) for name in after if name not in counters)
    momenta = [m.momentum for m in parent.module.modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(momentum == 0.1 for momentum in momenta)


def test_chance_comes_from_seed_and_step_alone() -> None:
    def weights(hook_of: Callable[[], StressHook], parent: Network, moment: Moment) -> torch.Tensor:
        hook = hook_of()
        hook.before_forward(moment)
        found = parent.module.get_parameter("f1.weight").detach().clone()
        hook.after_backward(moment)
        return found

    parent = network(Plain)
    stress = parse_stress("bernoulli:0.5")
    used = StressHook(parent, stress, SYNAPSE)
    first = weights(lambda: used, parent, STRESSED)
    weights(lambda: used, parent, Moment(3, 904, 0.904))
    fresh = StressHook(copy.deepcopy(parent), stress, SYNAPSE)
    assert torch.equal(first, weights(lambda: used, parent, STRESSED))
    assert fresh is not used
    again = weights(lambda: StressHook(parent, stress, SYNAPSE), parent, STRESSED)
    assert torch.equal(first, again)
    assert not torch.equal(first, weights(lambda: used, parent, Moment(4, 900, 0.9)))
    assert not torch.equal(first, weights(lambda: used, parent, Moment(3, 902, 0.9)))


def test_the_odds_of_a_budget_have_its_share_as_their_mean() -> None:
    parent = network(Plain)
    channels = trace_channels(parent.module, parent.example_input(2))
    odds = odds_of(parent, channels, Genome(HALF.environment, "synapse", pressure=6.0))
    assert odds.clusters is None
    assert odds.synapses["f1.weight".removesuffix(".weight")].mean() == pytest.approx(0.5, abs=0.01)
    assert odds.synapses["f2"].mean() == pytest.approx(0.8, abs=0.01)  # the classifier
    clusters = odds_of(parent, channels, HALF).clusters
    assert clusters is not None
    assert clusters[channels.outputs["c2"]].mean() == pytest.approx(math.sqrt(0.5), abs=0.01)


@pytest.mark.parametrize("text", ["none", "uniform:0.5", "bernoulli:0.5", "l1:0.0001", "cull:1"])
def test_stress_is_read_as_written(text: str) -> None:
    assert parse_stress(text).text == text
    assert parse_stress("bernoulli") == Stress("bernoulli", 0.5)
    assert parse_stress("l1:1e-4") == Stress("l1", 1e-4)
    assert parse_stress("cull") == Stress("cull", 1.0, start=0.0, full=0.7, every=1)


@given(
    st.sampled_from(["uniform", "bernoulli", "cull"]),
    st.integers(1, 100),
    st.tuples(*[st.integers(0, 99)] * 3).map(sorted),
    st.integers(1, 9),
)
def test_what_is_written_is_read_back(
    kind: str, strength: int, when: list[int], every: int
) -> None:
    start, full, end = (value / 100 for value in (when[0], when[1], when[2] + 1))
    stress = Stress(kind, strength / 100, start, full, end, every)
    assert parse_stress(stress.text) == stress


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("bernouli:0.5", 'did you mean "bernoulli"'),
        ("bernoulli:1.5", "up to 1"),
        ("bernoulli:0", "above 0"),
        ("bernoulli:x", "is no number"),
        ("none:0.5", "takes no strength"),
        ("uniform:0.5,strat=0.1", 'did you mean "start"'),
        ("uniform:0.5,start=0.8", "in this order"),
        ("uniform:0.5,every=0", "makes no sense"),
        ("uniform:0.5,every=1.5", "number of steps"),
        ("none,start=0.1", "is not understood"),
    ],
)
def test_other_stress_is_refused_in_one_line(text: str, says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        parse_stress(text)
    assert "\n" not in str(caught.value)
