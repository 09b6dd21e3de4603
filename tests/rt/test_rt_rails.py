"""Which rails make up a board's power: every module by its own rule, and no guess for the rest."""

import glob
import os

import pytest

from edgesynth_rt.rails import RULES, TITLES, board_power_mw, recognise, role
from edgesynth_rt.tegrastats import Rail, parse_line

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SHARED = os.path.join(os.path.dirname(os.path.dirname(TESTS)), "shared", "tegrastats")
REAL = sorted(glob.glob(os.path.join(SHARED, "*-*.txt")))

# log of a board -> what it is, and board power of its last line, added up by hand
BOARDS = {
    "agxorin-r36-1.txt": (("agx-orin",), 2399 + 399 + 2813),
    "agxorin-r36-3-nonroot.txt": (("agx-orin",), 4940 + 988 + 4442),
    "agxorin-r39.2-1.txt": (("agx-orin",), 5139 + 3268 + 5500),
    "agxxavier-r32-1.txt": (("agx-xavier",), 0 + 311 + 932 + 0 + 621 + 1482),
    "nano-r32-3-nonroot.txt": (("nano",), 943),
    "nano-r32.7-1.txt": (("nano",), 1613),
    "orinnano-r36-1.txt": (("orin-nx", "orin-nano"), 4824),  # line 2, without root
    "orinnx-r35-1.txt": (("orin-nx",), 5299),
    "thor-r38-4-negative-elided.txt": (("thor",), 15004),
    "tx1-r28-1.txt": (("tx1",), 2532),
    "tx2-r28-10-userprefix.txt": (("tx2",), 9273),
    "tx2-r28-7.txt": (("tx2",), 3177),
    "tx2-r32-1.txt": (("tx2",), 1879),
    "tx2-r32-12-gr3d-nofreqpct.txt": (("tx2",), 3445),
    "tx2-r32-14-nonroot.txt": (("tx2",), 2144),
    "tx2-r32.7-6.txt": (("tx2",), 5297),
    "xaviernx-r32-2.txt": (("xavier-nx",), 4067),
    "xaviernx-r35-1.txt": (("xavier-nx",), 13751),
    "xaviernx-r35.4-4.txt": (("xavier-nx",), 2763),
}


def last_sample(path):
    with open(path) as stream:
        return parse_line(stream.readlines()[-1])


@pytest.mark.skipif(not REAL, reason="../shared/tegrastats, the real logs, is absent")
@pytest.mark.parametrize("name", sorted(BOARDS))
def test_real_boards(name):
    modules, power_mw = BOARDS[name]
    sample = last_sample(os.path.join(SHARED, name))
    known = recognise([rail.name for rail in sample.rails], sample=sample)
    assert (known.modules, known.reason) == (modules, None)
    assert board_power_mw(known.rule, sample.rails) == power_mw


@pytest.mark.skipif(not REAL, reason="../shared/tegrastats, the real logs, is absent")
def test_every_real_log_with_rails_is_in_the_table():
    with_rails = [path for path in REAL if last_sample(path).rails]
    assert sorted(os.path.basename(path) for path in with_rails) == sorted(BOARDS)


COMPOSED = {
    "tx1-r28": ("tx1",),
    "tx2-r28": ("tx2",),
    "tx2-r32.7": ("tx2",),
    "tx2-nx-r32": ("tx2-nx",),
    "nano-r32.7": ("nano",),
    "xavier-nx-r32": ("xavier-nx",),
    "xavier-nx-r35": ("xavier-nx",),
    "agx-xavier-r35": ("agx-xavier",),
    "orin-nx-r35": ("orin-nx",),
    "orin-nano-r36": ("orin-nano",),
    "orin-nano-r36-user": ("orin-nx", "orin-nano"),
    "agx-orin-r35": ("agx-orin",),
    "agx-orin-r36": ("agx-orin",),
    "thor-r39": ("thor",),
}


@pytest.mark.parametrize("name", sorted(COMPOSED))
def test_composed_lines(name):
    sample = last_sample(os.path.join(TESTS, "data", "tegrastats", name + ".txt"))
    known = recognise([rail.name for rail in sample.rails], sample=sample)
    assert known.modules == COMPOSED[name]
    counted = [rail.power_mw for rail in sample.rails if rail.name in known.rule.total]
    assert board_power_mw(known.rule, sample.rails) == sum(counted)


def test_every_module_has_a_rule_with_a_source():
    assert {module for rule in RULES for module in rule.modules} == set(TITLES)
    for rule in RULES:
        assert rule.source and rule.measures
        assert not set(rule.total) & (set(rule.inside) | set(rule.around))
        assert rule.gpu[0] in rule.total + rule.inside
        assert rule.signature <= set(rule.total + rule.inside)


def test_no_rule_hides_another():
    """The rails of each rule are recognised as its own."""
    for rule in RULES:
        assert recognise(rule.total + rule.inside).rule is rule


def test_the_sensors_of_the_carrier_board_are_not_the_module():
    """An INA3221 source sees them too; VDD_MUX is the input of the whole kit."""
    names = ["VDD_IN", "VDD_CPU", "VDD_GPU", "VDD_MUX", "5V_IO_SYS", "3V3_SYS"]
    known = recognise(names)
    assert known.modules == ("tx1",)
    assert (role(known.rule, "VDD_MUX"), role(known.rule, "VDD_CPU")) == ("around", "inside")
    assert known.remarks == ()


def test_the_memory_rail_of_an_agx_orin_is_not_counted_twice():
    rails = [
        Rail("VDD_GPU_SOC", 100, 0, None),
        Rail("VDD_CPU_CV", 20, 0, None),
        Rail("VIN_SYS_5V0", 3, 0, None),
        Rail("NC", 5000, 0, None),
        Rail("VDDQ_VDD2_1V8AO", 700, 0, None),
        Rail("NC", 5000, 0, None),
    ]
    known = recognise([rail.name for rail in rails])
    assert board_power_mw(known.rule, rails) == 123
    assert role(known.rule, "VDDQ_VDD2_1V8AO") == "inside"
    assert role(known.rule, "NC") == "unconnected"


def test_rails_of_no_known_module_have_no_power():
    known = recognise(["VDD_NEW", "VDD_IN2"])
    assert (known.rule, known.modules) == (None, ())
    assert "VDD_IN2, VDD_NEW belong to no module" in known.reason
    assert "--module" in known.reason


def test_rails_of_two_boards_in_one_log_have_no_power():
    known = recognise(["POM_5V_IN", "POM_5V_GPU", "VDD_IN", "VDD_SYS_GPU", "VDD_SYS_CPU"])
    assert known.rule is None
    assert "fit several modules" in known.reason


def test_a_missing_total_is_said_and_not_replaced_by_a_sum():
    known = recognise(["VDD_GPU", "VDD_CPU_SOC_MSS", "VIN_SYS_5V0"])
    assert (known.rule, known.modules) == (None, ("thor",))
    assert known.reason == (
        "the total of Jetson Thor is VIN, but no line has VIN "
        "(there are: VDD_CPU_SOC_MSS, VDD_GPU, VIN_SYS_5V0)"
    )
    known = recognise(["GPU", "CPU", "SOC", "VDDRQ", "SYS5V"])
    assert (known.rule, known.modules) == (None, ("agx-xavier",))
    assert "no line has CV" in known.reason


def test_a_strange_rail_is_left_out_and_said():
    known = recognise(["VDD_IN", "VDD_SYS_GPU", "VDD_SYS_CPU", "VDD_LASER"])
    assert known.modules == ("tx2",)
    assert known.remarks == (
        "not a rail that is known on Jetson TX2, left out of the board's power: VDD_LASER",
    )


def test_what_is_not_certain_is_said():
    assert "not from a board" in recognise(["VDD_IN", "VDD_CPU_GPU", "VDD_SOC"]).remarks[0]


def test_lines_without_rails_have_no_power():
    assert recognise(["NC"]).reason == "no line has a power rail, so there is no power"


@pytest.mark.parametrize("lines", [[], [("VDD_IN", 5), ("VDD_IN", 6)], [("VDD_CPU", 5)]])
def test_a_sample_that_lacks_the_total_or_has_it_twice_has_no_power(lines):
    rule = recognise(["VDD_IN", "VDD_SYS_GPU", "VDD_SYS_CPU"]).rule
    assert board_power_mw(rule, [Rail(name, power, 0, None) for name, power in lines]) is None


def test_the_module_can_be_told():
    assert recognise(["VDD_IN", "VDD_OTHER"], module="tx2").rule.total == ("VDD_IN",)
    assert (
        recognise(["VDD_IN", "VDD_CPU", "VDD_GPU", "VDD_SOC"], module="tx2").rule.release == "R28"
    )
    assert recognise(["VDD_IN", "VDD_SYS_GPU"], module="tx2").rule.release == "R31 and R32"
    wrong = recognise(["POM_5V_IN"], module="tx2")
    assert wrong.rule is None
    assert "the total of Jetson TX2 is VDD_IN" in wrong.reason
    assert 'no module "tx3"' in recognise(["VDD_IN"], module="tx3").reason
