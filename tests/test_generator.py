"""Generators: seeds to networks, on disk, and how the inquisitor moves them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from edgesynth.core.errors import UserError
from edgesynth.core.requirement import parse_requirements
from edgesynth.core.search import rank_correlation, wilson
from edgesynth.networks.network import Network
from edgesynth.synthesis.generative.admission import Admission
from edgesynth.synthesis.generative.generator import (
    Card,
    Generator,
    Theta,
    fit_head,
    load_generator,
    noise_of,
    save_generator,
)
from edgesynth.synthesis.generative.inquisitor import Inquisitor, Ridge, Seen
from edgesynth.synthesis.generative.layout import Drawing
from edgesynth.synthesis.generative.probe import REACTIONS, probe, stimuli
from edgesynth.synthesis.generative.problem import HOPELESS, Problem, Utility
from edgesynth.synthesis.generative.settle import settle
from edgesynth.synthesis.generative.space import derive_space
from edgesynth.synthesis.generative.update import Update, updated
from small_networks import Plain, network

TRUST = ("small_networks:Plain",)


def generator(head: bool = False) -> Generator:
    prototype = network(Plain)
    space = derive_space(prototype)
    theta = Theta.first(len(space.genes))
    if head:
        noise = noise_of([(0, index) for index in range(12)], len(space.genes))
        theta = fit_head(theta, noise, np.clip(0.5 + 0.3 * noise, 0, 1), seed=1, steps=5)
    card = Card(
        name="plain", space=space, requirements=["macs<=1M"], utility="netscore", data="digits",
        training={"epochs": 1}, seed=0, prototype_accuracy=0.9, cycles=2, command="", versions={},
    )  # fmt: skip
    return Generator(card, theta, prototype)


def test_a_seed_draws_until_its_network_is_cheap_enough() -> None:
    made = generator()
    predicted: list[str] = []

    def predict(child: Network) -> dict[str, dict[str, float]]:
        predicted.append(child.name)
        return {"tx2": {"energy_mj": child.module.get_submodule("f1").weight.shape[0] / 10}}

    seeds = [(7, index) for index in range(12)]
    free = Admission(made, (), predict)
    assert [free.point(seed).tolist() for seed in seeds] == [p.tolist() for p in made.points(seeds)]
    assert not predicted  # nothing asks for it
    space, layouts = made.card.space, Drawing(made.prototype, made.card.space)
    macs = [layouts.figures(layouts.lay_out(space.choice(free.point(s)))).macs for s in seeds]
    limit = int(np.median(macs))
    strict = Admission(made, parse_requirements((f"macs<={limit}", "energy<=1mJ@tx2")), predict)
    points = [strict.point(seed) for seed in seeds]
    for point, seed in zip(points, seeds, strict=True):
        layout = layouts.lay_out(space.choice(point))
        assert layouts.figures(layout).macs <= limit and strict.admits(point)
        assert point.tolist() == strict.point(seed).tolist()
    hopeless = Admission(made, parse_requirements(("params<=1",)), predict)
    assert hopeless.point((7, 0)).tolist() == made.points([(7, 0)])[0].tolist()


@pytest.mark.parametrize("head", [False, True])
def test_a_saved_generator_makes_the_same_networks(head: bool, tmp_path: Path) -> None:
    made = generator(head)
    save_generator(made, tmp_path / "plain.generator")
    again = load_generator(tmp_path / "plain.generator", trust=TRUST)
    seeds = [(7, index) for index in range(16)]
    assert np.array_equal(made.points(seeds), again.points(seeds))
    assert again.card == made.card
    points = np.array(made.points(seeds))
    assert ((points >= 0) & (points <= 1)).all() and len(np.unique(points, axis=0)) == 16
    files = {path.name for path in (tmp_path / "plain.generator").iterdir()}
    assert files == {"generator.json", "theta.safetensors", "prototype.edgenet"}


def test_a_damaged_generator_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "g.generator"
    save_generator(generator(), folder)
    with pytest.raises(UserError, match="--trust small_networks:Plain"):
        load_generator(folder)
    genes = len(generator().card.space.genes)
    for tensors in ({"mu": np.zeros(2), "sd": np.zeros(2)},
                    {"mu": np.zeros(genes), "sd": np.full(genes, np.nan)}):  # fmt: skip
        save_file(tensors, folder / "theta.safetensors")
        with pytest.raises(UserError, match="does not fit its generator"):
            load_generator(folder, trust=TRUST)
    (folder / "theta.safetensors").write_bytes(b"pickle")
    with pytest.raises(UserError, match="not a safetensors file"):
        load_generator(folder, trust=TRUST)
    card = msgspec.json.decode((folder / "generator.json").read_bytes())
    for text in (msgspec.json.encode({**card, "schema": "x/1"}), b"{"):
        (folder / "generator.json").write_bytes(text)
        with pytest.raises(UserError, match=r"generator\.json"):
            load_generator(folder, trust=TRUST)
    with pytest.raises(UserError, match="cannot be read"):
        load_generator(tmp_path / "nothing.generator")


def test_an_update_moves_to_where_scores_are_high() -> None:
    def score(points: np.ndarray) -> np.ndarray:
        return -((points - [0.8, 0.2]) ** 2).sum(axis=1)

    theta = Theta.first(2)
    for cycle in range(6):
        theta = updated(theta, score, score, Update(), (0, cycle, 9))
    assert np.allclose(theta.mu, [0.8, 0.2], atol=0.05)
    assert np.allclose(theta.sd, 0.06)  # seeds stay apart
    head = updated(Theta.first(2), score, score, Update(head=True), (0, 1, 9))
    fresh = noise_of([(5, index) for index in range(64)], 2)
    plain = Theta(head.mu, head.sd)
    assert score(head.points(fresh)).mean() > score(plain.points(fresh)).mean()


def test_ridge_regression_leaves_out_what_says_nothing() -> None:
    random = np.random.default_rng(0)
    x = random.standard_normal((40, 6))
    y = 3 * x[:, 0] - x[:, 1] + 5
    ridge = Ridge.fit(x, y)
    assert ridge.error < 0.5
    fresh = random.standard_normal((10, 6))
    assert np.allclose(ridge(fresh), 3 * fresh[:, 0] - fresh[:, 1] + 5, atol=0.6)


def test_the_inquisitor_learns_accuracy_and_costs() -> None:
    random = np.random.default_rng(1)
    inquisitor = Inquisitor(seed=0)

    def seen(count: int) -> list[Seen]:
        x = random.random((count, 3))
        accuracy = 0.5 + 0.45 * np.tanh(3 * x[:, 0] * x[:, 1])
        return [
            Seen(row, np.array([value]), value, {"energy_mj@tx2": float(np.exp(row[2]))})
            for row, value in zip(x, accuracy, strict=True)
        ]

    inquisitor.learn(seen(5))
    assert not inquisitor.ready
    inquisitor.learn(seen(35))
    fresh = seen(40)
    features = np.array([one.features for one in fresh])
    reactions = np.array([one.reactions for one in fresh])
    truth = [one.accuracy for one in fresh]
    plain = rank_correlation(inquisitor.accuracy(features).tolist(), truth)
    probed = rank_correlation(inquisitor.accuracy(features, reactions).tolist(), truth)
    assert plain is not None and probed is not None and plain > 0.85 and probed > 0.9
    costs = [one["energy_mj@tx2"] for one in inquisitor.costs(features)]
    assert np.allclose(costs, np.exp(features[:, 2]), rtol=0.1)


def test_reactions_of_a_network() -> None:
    prototype = network(Plain)
    space = derive_space(prototype)
    stimulus = stimuli([torch.randn(40, 3, 12, 12)])
    assert stimulus.shape == (32, 3, 12, 12)
    found = probe(prototype.module, stimulus, space.stages)
    assert found.shape == (3, len(REACTIONS)) and np.isfinite(found).all()
    with torch.no_grad():
        prototype.module.c1.weight[:4] = 0
        prototype.module.c1.bias[:4] = 0
    half = probe(prototype.module, stimulus, space.stages)
    assert half[0, 1] == pytest.approx(0.5) and found[0, 1] == 0  # dead channels
    assert half[0, 2] < found[0, 2]  # effective rank
    assert (found[:, 3] > 0).all()  # silent channels change the output


def problem(*requirements: str, **settings) -> Problem:
    return Problem(
        utility=Utility("netscore"), requirements=parse_requirements(requirements),
        prototype_accuracy=0.92, **settings,
    )  # fmt: skip


def test_the_requirement_bounds_the_score() -> None:
    figures = {"accuracy": 0.90, "params": 10_000, "macs": 100_000}
    free = problem(margin=0.0).judge(figures, {})
    assert free.feasible and free.score == free.utility
    bound = problem("macs<=50k", margin=0.0).judge(figures, {})
    assert bound.gaps == {"macs<=50k": pytest.approx(6.02, abs=0.01)} and not bound.feasible
    assert bound.score == pytest.approx(free.score - 2 * 6.02, abs=0.02)


def test_accuracy_is_judged_against_the_prototype_after_the_same_training() -> None:
    figures = {"accuracy": 0.86, "params": 10_000, "macs": 100_000}
    for wanted in ("accuracy>=0.90", "accuracy_loss<=2"):
        asked = problem(wanted, margin=0.0)
        assert not asked.judge(figures, {}).feasible
        short = asked.with_reference(0.88)  # the prototype loses four points there, too
        assert short.floor() == pytest.approx(0.86)
        assert short.judge({**figures, "accuracy": 0.8601}, {}).feasible
    careful = problem("accuracy_loss<=2", margin=1.0).with_reference(0.88)
    judged = careful.judge({**figures, "accuracy": 0.865}, {})
    assert judged.feasible and judged.utility - judged.score == pytest.approx(8 * 0.5)


def test_boards_are_asked_by_name() -> None:
    figures = {"accuracy": 0.9, "params": 1e4, "macs": 1e5}
    there = {"tx2": {"energy_mj": 2.0, "latency_mean_ms": 0.5}, "": {"latency_p50_ms": 4.0}}
    wanted = problem("energy<=1mJ@tx2", "latency<=5ms", margin=0.0)
    assert set(wanted.judge(figures, there).gaps) == {"energy<=1mJ@tx2"}
    energy = Utility("netscore-energy@tx2")
    assert energy(figures, there) == pytest.approx(20 * np.log10(8100 / 0.002**0.125))
    with pytest.raises(UserError, match="no energy is predicted for tx2"):
        energy(figures, {})
    with pytest.raises(UserError, match='no utility "netskore"'):
        Utility("netskore")
    none = problem(margin=0.0).judge({**figures, "accuracy": 0.0}, {})
    assert none.utility is None and none.score == HOPELESS and not none.feasible


def test_wilson_and_spearman() -> None:
    low, high = wilson(58, 64)
    assert low == pytest.approx(0.810, abs=2e-3) and high == pytest.approx(0.956, abs=2e-3)
    assert wilson(0, 0) == (0.0, 1.0)
    assert rank_correlation([1, 2, 3, 4], [10, 20, 30, 5]) == pytest.approx(-0.2)
    assert rank_correlation([1, 1, 2], [3, 3, 9]) == pytest.approx(1.0)
    assert rank_correlation([1, 2], [1, 2]) is None
    assert rank_correlation([1, 1, 1], [1, 2, 3]) is None


def test_statistics_are_taken_anew_and_nothing_else_changes() -> None:
    module = torch.nn.Sequential(
        torch.nn.BatchNorm2d(2), torch.nn.Dropout(0.5), torch.nn.Conv2d(2, 3, 1)
    ).eval()
    module[1].train()
    batches = [torch.randn(16, 2, 4, 4) * 3 + 5 for _ in range(4)]
    settle(module, iter(batches))
    seen = torch.cat(batches)
    assert torch.allclose(module[0].running_mean, seen.mean((0, 2, 3)), atol=1e-5)
    assert torch.allclose(module[0].running_var, seen.var((0, 2, 3)), rtol=0.05)
    assert module[0].momentum == 0.1
    assert [part.training for part in module] == [False, True, False]
    settle(torch.nn.ReLU(), [])  # nothing to settle
