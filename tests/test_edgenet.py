"""`.edgenet`: round trips are bit-identical, and hostile files are at worst refused."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from edgesynth.core.errors import EdgesynthError, UserError
from edgesynth.networks import edgenet
from edgesynth.networks.network import Network
from edgesynth.networks.source import read_state_dict, resolve
from edgesynth.synthesis.environment import Environment
from edgesynth.synthesis.genome import Genome
from edgesynth.synthesis.heredity import synthesize
from edgesynth_rt.files import sha256_of
from small_networks import ALL, Residual, network


def saved(tmp_path: Path, kind: type[nn.Module] = Residual) -> tuple[Network, Path, str]:
    child = synthesize([network(kind)], Genome(Environment("factor", 0.7)), (0, 2, 1))
    folder = tmp_path / "child.edgenet"
    edgenet.save(child, folder)
    return child, folder, f"small_networks:{kind.__name__}"


@pytest.mark.parametrize("kind", ALL)
def test_a_round_trip_is_bit_identical(tmp_path: Path, kind: type[nn.Module]) -> None:
    child, folder, factory = saved(tmp_path, kind)
    loaded = edgenet.load(folder, trust=(factory,))
    x = torch.randn(4, 3, 12, 12)
    with torch.no_grad():
        assert torch.equal(loaded.module(x), child.module(x))
    assert all(torch.equal(loaded.masks[name], mask) for name, mask in child.masks.items())
    assert loaded.description.kept == child.description.kept


def test_a_zoo_network_needs_no_trust(tmp_path: Path) -> None:
    edgenet.save(resolve("lenet5"), tmp_path / "a.edgenet")
    assert edgenet.load(tmp_path / "a.edgenet").name == "lenet5"


def test_code_that_is_not_trusted_is_not_imported(tmp_path: Path) -> None:
    _, folder, factory = saved(tmp_path)
    with pytest.raises(UserError, match=f"add --trust {factory}"):
        edgenet.load(folder)


def change(folder: Path, **changes: Any) -> None:
    path = folder / "network.json"
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, **changes}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": {"source": "zoo:nothing"}}, 'no network "nothing"'),
        ({"architecture": {"source": "os:system", "arguments": {}}}, "unknown"),
        ({"architecture": {"source": "factory:os:system"}}, "add --trust os:system"),
        ({"kept": {"inner": {"outputs": "0-999999999999"}}}, "not ascending"),
        ({"kept": {"inner": {"outputs": "3,2"}}}, "not ascending"),
        ({"kept": {"inner": {"outputs": ""}}}, "not a channel range"),
        ({"kept": {"absent": {"outputs": "0"}}}, '"absent" is not a layer'),
        ({"kept": {"relu": {"outputs": "0"}}}, '"relu" is not a layer'),
        ({"kept": {}}, "another architecture"),
        ({"input_shape": [3, 10**9, 12]}, "out of range"),
        ({"input_shape": [3, 12]}, "network.json"),
        ({"weights_sha256": "0" * 64}, "do not have the hash"),
        ({"schema": "edgesynth.network/9"}, "is not"),
        ({"surprise": 1}, "surprise"),
        ({"name": 5}, "name"),
    ],
)
def test_a_changed_description_is_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    _, folder, factory = saved(tmp_path)
    change(folder, **changes)
    with pytest.raises(UserError, match=message) as caught:
        edgenet.load(folder, trust=(factory,))
    assert "\n" not in str(caught.value)


def test_weights_of_another_architecture_name_the_first_misfit(tmp_path: Path) -> None:
    _, folder, factory = saved(tmp_path)
    weights = folder / "weights.safetensors"
    save_file({"stem.weight": torch.zeros(2, 2)}, str(weights))
    change(folder, weights_sha256=sha256_of(weights))
    with pytest.raises(UserError, match=r"stem\.weight is \(2, 2\)"):
        edgenet.load(folder, trust=(factory,))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_damaged_weights_file_never_gets_past(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("edgenet") / "a.edgenet"
    _, folder, factory = saved(folder.parent)
    weights = folder / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content = content[:place]
    else:
        content[place] ^= data.draw(st.integers(1, 255))
    weights.write_bytes(bytes(content))
    with pytest.raises(UserError):
        edgenet.load(folder, trust=(factory,))
    change(folder, weights_sha256=sha256_of(weights))  # an attacker would do so
    try:
        edgenet.load(folder, trust=(factory,))
    except EdgesynthError as error:
        assert "\n" not in str(error)
    shutil.rmtree(folder)


def test_a_folder_is_replaced_only_by_a_whole_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child, folder, factory = saved(tmp_path)
    before = sorted(p.name for p in tmp_path.iterdir())

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(edgenet, "write_bytes", full)
    with pytest.raises(UserError, match="disk full"):
        edgenet.save(child, folder)
    assert sorted(p.name for p in tmp_path.iterdir()) == before
    assert edgenet.load(folder, trust=(factory,)).name == child.name


class Evil:
    """Would write a file if it were ever unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_pickle_is_never_run(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    for name, save in (("a.pt", torch.save), ("b.pt", lambda o, p: p.write_bytes(pickle.dumps(o)))):
        save({"weight": Evil(trap)}, tmp_path / name)
        with pytest.raises(UserError, match="pickled code, which is never run") as caught:
            read_state_dict(tmp_path / name)
        assert "\n" not in str(caught.value)
    assert not trap.exists()


def test_state_dicts_are_read_as_people_save_them(tmp_path: Path) -> None:
    state = network(Residual).module.state_dict()
    torch.save(state, tmp_path / "plain.pt")
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "nested.pt")
    torch.save({f"module.{name}": t for name, t in state.items()}, tmp_path / "parallel.pt")
    save_file(state, str(tmp_path / "safe.safetensors"))
    for path in tmp_path.iterdir():
        found = read_state_dict(path)
        assert all(torch.equal(found[name], tensor) for name, tensor in state.items()), path


@pytest.mark.parametrize("name", ["a.pt", "a.safetensors"])
def test_a_cut_or_absent_file_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with pytest.raises(UserError, match="cannot be read"):
        read_state_dict(path)
    torch.save({"w": torch.zeros(100)}, path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UserError, match=name) as caught:
        read_state_dict(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("lenet", 'did you mean "lenet5"'),
        ("no.such:thing", "no module named no"),
        ("small_networks:Nothing", "has no function Nothing"),
        ("small_networks:network", "--input-shape"),
    ],
)
def test_unknown_networks_say_what_to_do(spec: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        resolve(spec)
