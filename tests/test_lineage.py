"""Every offspring can be raised again from its record, and the family tree shows how it came."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from edgesynth.core.history import in_birth_order, read_history
from edgesynth.report.lineage import read_evolution
from edgesynth.report.sections.family import family_tree
from evolve_digits import COMMON, edgesynth


@pytest.fixture(scope="module")
def run(parent: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two parents, stress, precision, and rejection of whatever loses accuracy at all."""
    folder = tmp_path_factory.mktemp("run")
    arguments = ["evolve", parent, "--out", "run", "--generations", "3", "--offspring", "2"]
    arguments += ["--parents", "2", "--stress", "bernoulli:0.5", "--precision", "int8"]
    arguments += ["--reject", "1", "--tries", "2", "--require", "accuracy>=0.1", "--workers", "1"]
    found = edgesynth(*arguments, *COMMON, cwd=folder)
    assert found.returncode == 0, found.stderr
    return folder / "run"


def test_a_rejected_offspring_is_sampled_again_and_all_tries_are_kept(run: Path) -> None:
    history = in_birth_order(read_history(run / "history.jsonl"))
    by_id = {one.id: one for one in history}
    first = by_id["g01-0"]
    rejected = [one for one in history if one.rejected]
    assert rejected
    for one in history[1:]:
        mother = by_id[one.parent]
        assert one.rejected == (100 * (mother.accuracy - one.accuracy) > 1)
        assert (run / one.network / "weights.safetensors").exists()
        if one.id.endswith("a"):
            assert by_id[one.id[:-1]].rejected
            assert by_id[one.id[:-1]].weights_sha256 != one.weights_sha256
            assert one.recipe.seeds == (*by_id[one.id[:-1]].recipe.seeds, 2)
        elif one.rejected:
            assert f"{one.id}a" in by_id
    assert first.recipe is None
    assert not first.rejected


def test_a_third_generation_has_two_parents_the_fittest_first(run: Path) -> None:
    history = in_birth_order(read_history(run / "history.jsonl"))
    second = [one for one in history if one.generation == 2]
    pool = [one for one in second if not one.rejected] or second
    order = sorted(pool, key=lambda one: -one.accuracy)
    wanted = tuple(one.id for one in order[:2])
    third = [one for one in history if one.generation == 3]
    assert {one.parents for one in third} == {wanted}
    hashes = {one.id: one.weights_sha256 for one in history}
    assert third[0].recipe.parents_sha256 == tuple(hashes[one] for one in wanted)


def test_an_offspring_is_raised_again_to_the_last_bit(run: Path, tmp_path: Path) -> None:
    last = in_birth_order(read_history(run / "history.jsonl"))[-1]
    found = edgesynth("inspect", run, "--replay", last.id, "--json", "--quiet", cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    document = json.loads(found.stdout)
    assert document["identical"] is True
    assert document["weights_sha256"] == last.weights_sha256
    assert document["accuracy"] == last.accuracy
    assert document["other_versions"] == {}


def test_another_seed_in_the_record_is_found_out(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    copy.mkdir()
    (copy / "networks").symlink_to(run / "networks")
    text = (run / "history.jsonl").read_text()
    changed = re.sub(r'"seeds":\[0,2,1\]', '"seeds":[1,2,1]', text)
    assert changed != text
    (copy / "history.jsonl").write_text(changed)
    found = edgesynth("inspect", copy, "--replay", "g02-1", "--quiet", cwd=tmp_path)
    assert found.returncode == 1
    assert "NOT bit-identical" in found.stdout
    for identity, words in (("g09-1", "did you mean"), ("g01-0", "was not synthesized")):
        refused = edgesynth("inspect", copy, "--replay", identity, cwd=tmp_path)
        assert refused.returncode == 2
        assert words in refused.stderr
        assert refused.stderr.count("\n") == 1


def test_the_tree_names_fates_and_mates(run: Path, tmp_path: Path) -> None:
    history = in_birth_order(read_history(run / "history.jsonl"))
    shown = edgesynth("inspect", run, cwd=tmp_path).stdout
    for one in history:
        line = next(
            line for line in shown.splitlines() if re.search(rf"{one.id}\b.*accuracy [0-9]", line)
        )
        assert ("rejected" in line) == one.rejected
        assert ("selected" in line) == one.selected
        assert f"{one.id} x {one.mate}" in line if one.mate else " x g" not in line


def test_the_report_draws_every_relative_and_its_parents(run: Path) -> None:
    evolution = read_evolution(run)
    drawing = str(family_tree(evolution).drawing)
    for one in evolution.offspring:
        assert drawing.count(f"<title>{one.id}:") == 1
    curves = sum(len(one.parents) for one in evolution.offspring)
    assert len(re.findall(r'd="M[^"]*C', drawing)) == curves
    assert drawing.count("stem dashed") == sum(one.mate is not None for one in evolution.offspring)
    assert drawing.count('class="line"') >= len(evolution.descent(evolution.best)) - 1
