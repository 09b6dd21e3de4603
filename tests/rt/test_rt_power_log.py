"""A power log's figures: energy against closed forms, its averages, gaps, clocks, throttling."""

import pytest

from edgesynth_rt.power_columns import Columns
from edgesynth_rt.power_log import power_document
from edgesynth_rt.tegrastats_reader import Reader


def log(*bodies, **options):
    """(document, trace) of lines that end with `bodies`."""
    lines = "".join("RAM 1/2MB (lfb 3x4MB) %s\n" % body for body in bodies)
    return log_of(lines, **options)


def log_of(text, arrivals_s=None, **options):
    reader, columns = Reader(), Columns()
    for index, line in enumerate(text.splitlines(True)):
        arrival_s = None if arrivals_s is None else arrivals_s[index]
        for sample in reader.feed(line.encode("utf-8"), arrival_s):
            columns.add(sample)
    reader.close()
    return power_document(columns, reader, **options)


def nano(power_mw, average_mw):
    return "POM_5V_IN %d/%d POM_5V_GPU 5/5 POM_5V_CPU 7/7" % (power_mw, average_mw)


def averaged(values):
    """(value, average) as tegrastats prints them: the mean so far, cut to a whole number."""
    return [(value, int(sum(values[: i + 1]) / (i + 1))) for i, value in enumerate(values)]


def test_figures_of_a_nano():
    document, trace = log(*[nano(*pair) for pair in averaged([1000, 2000, 4001])])
    assert document["module"]["names"] == ["nano"]
    assert document["board_power_mw"] == {"min": 1000, "mean": 7001 / 3, "max": 4001, "samples": 3}
    assert document["energy"]["board_j"] == pytest.approx(1.5 + 3.0005)
    assert [rail["role"] for rail in document["rails"]] == ["total", "inside", "inside"]
    assert document["rails"][1]["share"] == pytest.approx(5 / (7001 / 3))
    assert document["rails"][0]["tegrastats_average_mw"] == 2333
    assert document["averages"]["agrees"] is True
    assert document["averages"]["largest_difference_mw"] == pytest.approx(2 / 3)
    assert trace["board_mw"] == [1000, 2000, 4001]
    assert any("every 1000 ms is assumed" in remark for remark in document["remarks"])


def test_a_module_that_adds_up():
    body = "GPU@30C CPU@31C GPU 1/1 CPU 20/20 SOC 300/300 CV 0/0 VDDRQ 4000/4000 SYS5V 50000/50000"
    document, _ = log(body, body)
    assert document["module"]["names"] == ["agx-xavier"]
    assert document["board_power_mw"]["mean"] == 54321
    assert {rail["role"] for rail in document["rails"]} == {"summed"}


def test_unknown_rails_give_no_board_power_and_no_energy():
    document, trace = log("VDD_A 5/5 VDD_B 6/6", "VDD_A 5/5 VDD_B 6/6")
    assert document["board_power_mw"] is None
    assert "belong to no module" in document["energy"]["not_measured"]
    assert trace["board_mw"] is None
    assert [rail["power_mw"]["mean"] for rail in document["rails"]] == [5, 6]


def test_one_sample_has_power_and_no_energy():
    document, _ = log(nano(1000, 1000))
    assert document["board_power_mw"]["mean"] == 1000
    assert document["energy"] == {"not_measured": "one sample of board power has no duration"}


def test_a_first_sample_of_a_sensor_that_was_not_ready_is_left_out():
    """As VIN of a Thor: 0, then averages of half."""
    parts = "VDD_GPU 5mW/5mW VDD_CPU_SOC_MSS 6mW/6mW VIN_SYS_5V0 7mW/7mW VIN %dmW/%dmW"
    document, _ = log(*[parts % pair for pair in averaged([0, 25530, 25532])])
    assert document["board_power_mw"]["mean"] == 25531
    assert any("first sample reads 0 W" in remark for remark in document["remarks"])


def test_energy_of_a_window_on_the_arrival_clock():
    lines = ("RAM 1/2MB %s\n" % nano(1000, 1000)) * 11
    arrivals_s = [100 + i / 10 for i in range(11)]
    document, _ = log_of(lines, arrivals_s=arrivals_s, window_s=(100.25, 100.85))
    assert document["energy"]["board_j"] == pytest.approx(0.6)
    assert document["energy"]["coverage"] == pytest.approx(1.0)
    assert document["energy"]["samples"] == 6
    late, _ = log_of(lines, arrivals_s=arrivals_s, window_s=(100.5, 102.5))
    assert late["energy"]["coverage"] == pytest.approx(0.25)


def stamped(second, body):
    return "07-21-2025 16:%02d:%02d RAM 1/2MB %s\n" % (second // 60, second % 60, body)


def test_a_gap_is_told_with_its_line_and_not_counted():
    body = "VDD_IN 2000mW/2000mW VDD_CPU_GPU_CV 5mW/5mW VDD_SOC 6mW/6mW"
    document, _ = log_of("".join(stamped(second, body) for second in [0, 1, 2, 300, 301]))
    assert document["time"]["source"] == "tegrastats"
    assert document["time"]["gaps"] == [{"before_line": 4, "seconds": 298.0}]
    assert document["energy"]["board_j"] == pytest.approx(6.0)
    assert document["energy"]["coverage"] == pytest.approx(3 / 301)
    assert any("uncertain by up to 1 s, 33.3 %" in remark for remark in document["remarks"])


def test_a_new_tegrastats_in_the_log_is_noticed_by_its_averages():
    values = averaged([1000, 3000, 5000]) + averaged([700, 800])
    document, _ = log(*[nano(*pair) for pair in values])
    assert document["averages"]["agrees"] is True
    assert document["averages"]["restarts"] == [4]
    assert any("a new tegrastats began at line 4;" in remark for remark in document["remarks"])
    assert document["energy"]["board_j"] == pytest.approx(2 + 4 + 0.75)  # not the time between


def test_lines_months_apart_make_no_energy():
    first, second = ("%s RAM 1/2MB " + nano(1000, 1000) + "\n" for _ in range(2))
    document, _ = log_of(first % "11-15-2024 08:38:09" + second % "06-18-2025 11:25:24")
    assert document["averages"]["restarts"] == []  # the second could go on from the first
    assert document["energy"] == {
        "not_measured": "no two of 2 samples of board power follow each other"
    }


def test_many_short_runs_in_one_log():
    runs = [averaged([1000 + 7 * i, 3000, 5000 - i] * 100) for i in range(30)]
    document, _ = log(*[nano(*pair) for run in runs for pair in run])
    assert document["averages"]["agrees"] is True
    assert document["averages"]["restarts"] == [300 * i + 1 for i in range(1, 30)]


def test_averages_that_are_wrong_are_told():
    document, _ = log(nano(1000, 1000), nano(3000, 2000), nano(2000, 2500))
    assert document["averages"]["agrees"] is False
    assert document["averages"]["largest_difference_mw"] == 500
    assert any("lines are missing, or were edited" in remark for remark in document["remarks"])


def test_one_rail_that_is_its_own_average_is_no_new_tegrastats():
    lines = [nano(*pair) for pair in averaged([1000, 3000])] + [nano(2500, 2500)]
    lines[2] = lines[2].replace("POM_5V_CPU 7/7", "POM_5V_CPU 9/7")
    document, _ = log(*lines)
    assert (document["averages"]["agrees"], document["averages"]["restarts"]) == (False, [])


def test_averages_of_a_log_that_begins_late_are_not_compared():
    document, _ = log(nano(1000, 2000), nano(3000, 2100))
    assert document["averages"]["agrees"] is None
    assert "begins after its tegrastats did" in document["averages"]["reason"]


def test_clocks_and_loads():
    lines = ["EMC_FREQ 5%@1600 GR3D_FREQ 10%@76", "EMC_FREQ 7%@1600 GR3D_FREQ 90%@921"]
    document, _ = log(*lines)
    assert document["gpu"]["load_percent"] == {"min": 10, "mean": 50, "max": 90}
    assert document["gpu"]["clocks_mhz"] == [[921, 1], [76, 1]]
    assert (document["gpu"]["changes"], document["emc"]["changes"]) == (1, 0)


def test_without_root_there_are_no_clocks_and_no_memory_load():
    document, _ = log(*["EMC_FREQ 0% GR3D_FREQ 10% VDD_IN 5/5"] * 2)
    assert document["emc"] is None
    assert document["gpu"]["clocks_mhz"] == []
    assert any("to root only" in remark for remark in document["remarks"])


def test_a_clock_that_falls_under_load_is_a_hint_of_throttling():
    clocks = [1300, 1300, 1122, 1122, 1300, 1122]
    document, _ = log(*["GR3D_FREQ 99%%@%d" % clock for clock in clocks])
    assert document["throttling"] == [
        "line 3: the GPU's clock fell from 1300 to 1122 MHz while it was 99 % busy"
    ]


@pytest.mark.parametrize(
    "pairs",
    [
        [(99, 1300), (99, 1300), (20, 114), (0, 114)],  # the load ended
        [(99, 1300), (99, 1299), (99, 1298), (99, 1300)],  # wobble
        [(99, 1300), (99, 1122), (99, 1300), (99, 1300)],  # one sample at an edge
    ],
)
def test_clocks_that_a_governor_sets_are_no_hint(pairs):
    document, _ = log(*["GR3D_FREQ %d%%@%d" % pair for pair in pairs])
    assert document["throttling"] == []


def test_other_hints():
    document, _ = log("CPU [1%@2,3%@4] EDP limit 0", "CPU [1%@2,off] EDP limit 828")
    assert document["throttling"] == [
        "line 2: tegrastats reports an EDP limit of 828",
        "between 1 and 2 CPU cores were on",
    ]


def test_temperatures_without_placeholders_and_dead_sensors():
    document, _ = log("PMIC@100C CPU@30C CV0@-256C", "PMIC@100C CPU@41.5C CV0@-256C")
    rows = {row["name"]: row for row in document["temperatures"]}
    assert rows["PMIC"]["dummy"]
    assert rows["CPU"] == {
        "name": "CPU", "dummy": False, "last": 41.5, "min": 30, "mean": 35.75, "max": 41.5,
    }  # fmt: skip
    assert "CV0" not in rows


def test_a_rail_that_comes_twice_does_not_count_in_that_line():
    document, _ = log(nano(1000, 1000), nano(1000, 1000) + " POM_5V_IN 9/9", nano(1000, 1000))
    assert document["board_power_mw"]["samples"] == 2
    assert any("POM_5V_IN occurs twice" in remark for remark in document["remarks"])
