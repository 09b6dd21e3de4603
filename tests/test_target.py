"""Targets are data: every value with a source, and a wrong file is refused by its field."""

from itertools import pairwise

import msgspec
import pytest

from edgesynth.core.errors import UserError
from edgesynth.hardware.target import load_target, read_target, target_names

NAMES = ["jetpack-4.6", "jetpack-5.1", "jetpack-6.2", "jetpack-7", "tensorrt-11", "onnxruntime"]


def test_all_targets_are_there_oldest_first():
    assert target_names() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_table_names_its_source(name):
    target = load_target(name)
    for table in msgspec.structs.asdict(target).values():
        if hasattr(table, "source"):
            assert len(table.source) > 10, table
    assert all(each.reason and each.remedy for each in target.restriction)
    assert all(remedy for remedy in target.operators.remedies.values())


@pytest.mark.parametrize("name", NAMES)
def test_what_has_a_remedy_is_not_supported_and_what_is_restricted_is(name):
    target = load_target(name)
    assert not set(target.operators.remedies) & set(target.operators.supported)
    for restriction in target.restriction:
        assert all(target.supports(operator) for operator in restriction.operators), restriction


def test_tegra_x1_and_x2_get_what_tensorrt_8_2_reads():
    target = load_target("jetpack-4.6")
    assert (target.opset.export, target.opset.maximum) == (13, 13)
    assert (target.ir.export, target.ir.maximum, target.ir.with_functions) == (7, 7, 8)
    assert not target.quantization.allowed
    assert {"tx1", "tx2", "nano"} <= set(target.modules)
    # The operator matrix of branch 8.2-GA, and what came with 8.5, 8.6 and 10.
    for absent in ("Mod", "NonZero", "RoiAlign", "LayerNormalization", "GridSample", "Trilu"):
        assert not target.supports(absent)
    for there in ("Conv", "Gemm", "MaxPool", "Erf", "Resize", "If"):
        assert target.supports(there)


def test_operators_only_grow_with_the_jetpacks():
    sets = [set(load_target(name).operators.supported) for name in NAMES[:4]]
    for older, newer in pairwise(sets):
        assert older <= newer


def test_an_unknown_target_is_answered_with_the_nearest():
    with pytest.raises(UserError, match=r'no target "jetpack-4\.5"; did you mean "jetpack-4\.6"'):
        load_target("jetpack-4.5")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("export = 13", "export = 14", "outside of minimum to maximum"),
        ("minimum = 7", "minimun = 7", "minimun"),
        ('status = "datasheet"', 'status = "guessed"', "guessed"),
        ("allowed = false", 'allowed = "no"', r"\$\.quantization\.allowed"),
        ('name = "jetpack-4.6"', 'name = "mine"', 'name "other"'),
    ],
)
def test_a_wrong_file_is_refused_by_its_field(tmp_path, old, new, message):
    from edgesynth.hardware import target

    text = (target._FOLDER / "jetpack-4.6.toml").read_text()
    if "mine" not in new:
        text = text.replace('name = "jetpack-4.6"', 'name = "other"')
    assert old in text
    path = tmp_path / "other.toml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(UserError, match=message):
        read_target(path)
