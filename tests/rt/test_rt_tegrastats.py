"""tegrastats lines of every generation: composed with known meanings, and of real boards."""

import glob
import json
import os

import pytest

from edgesynth_rt.tegrastats import POWERED_OFF_CELSIUS, Core, Engine, Rail, Sample, parse_line
from edgesynth_rt.tegrastats_reader import Reader, readings, samples_of_log

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
COMPOSED = sorted(glob.glob(os.path.join(TESTS, "data", "tegrastats", "*.txt")))
SHARED = os.path.join(os.path.dirname(os.path.dirname(TESTS)), "shared", "tegrastats")
REAL = sorted(glob.glob(os.path.join(SHARED, "*-*.txt")))
real_logs = pytest.mark.skipif(not REAL, reason="../shared/tegrastats, the real logs, is absent")
NOT_IN_A_LINE = ("line_number", "arrival_s")

# lines of the real logs that are no sample, and words that no sample explains
ODD = {"tx2-r32-1.txt": (1, []), "thor-r38-4-negative-elided.txt": (0, ["..."])}


def name_of(path):
    return os.path.basename(path)


def read_back(sample):
    """The fields that the sample has, as JSON has them."""
    fields = {name: getattr(sample, name) for name in Sample.__slots__ if name not in NOT_IN_A_LINE}
    plain = json.loads(json.dumps(fields))
    return {name: value for name, value in plain.items() if value not in (None, [], "")}


def numbers_in(value):
    """Every number of a meaning that was free to choose."""
    if isinstance(value, dict):
        chosen = (value[key] for key in value if key not in ("lfb_block_kb", "stamp", "prefix"))
        return [number for part in chosen for number in numbers_in(part)]
    if isinstance(value, list):
        return [number for part in value for number in numbers_in(part)]
    free = isinstance(value, (int, float)) and not isinstance(value, bool)
    return [abs(value)] if free and value not in (0, POWERED_OFF_CELSIUS) else []


@pytest.mark.parametrize("path", COMPOSED, ids=name_of)
def test_composed_lines_mean_what_stands_beside_them(path):
    with open(path[: -len("txt")] + "json") as stream:
        meanings = json.load(stream)
    reader = Reader()
    samples = list(samples_of_log(path, reader))
    assert [read_back(sample) for sample in samples] == meanings
    assert (reader.foreign, reader.cut, reader.lines) == (1, 0, len(meanings) + 1)
    assert reader.foreign_examples[0][1].startswith("# Composed")


@pytest.mark.parametrize("path", COMPOSED, ids=name_of)
def test_composed_lines_have_no_value_twice(path):
    with open(path[: -len("txt")] + "json") as stream:
        meanings = json.load(stream)
    for meaning in meanings:
        if name_of(path) in ("tk1-r21.txt", "tx1-r28.1.txt"):  # one clock for all cores
            cores = [core for core in meaning.pop("cores") if core]
            assert len({clock for _, clock in cores}) == 1
            meaning["cores"] = [load for load, _ in cores] + [cores[0][1]]
        numbers = numbers_in(meaning)
        assert len(numbers) == len(set(numbers)) > 10


@real_logs
@pytest.mark.parametrize("path", REAL, ids=name_of)
def test_real_logs_lose_nothing(path):
    foreign, unknown = ODD.get(name_of(path), (0, []))
    reader = Reader()
    samples = list(samples_of_log(path, reader))
    with open(path) as stream:
        lines = [line for line in stream if " RAM " in " " + line]
    assert (reader.foreign, reader.cut, len(samples)) == (foreign, 0, len(lines))
    assert list(reader.unknown) == unknown
    for sample, line in zip(samples, lines):
        words = line.split()
        assert len(sample.temperatures) == sum(word.endswith("C") and "@" in word for word in words)
        power = [word for word in words if "/" in word and not word.endswith(("B", "C"))]
        assert len(sample.rails) == len([word for word in power if "kB" not in word])
        bracket = line.lower().partition("cpu [")[2].partition("]")[0]
        assert len(sample.cores) == len([core for core in bracket.split(",") if core != "..."])


@real_logs
def test_a_line_of_a_real_tx2():
    with open(os.path.join(SHARED, "tx2-r32.7-6.txt")) as stream:
        sample = parse_line(stream.readline())
    assert (sample.ram_used_mb, sample.ram_total_mb) == (3276, 7859)
    assert (sample.lfb_blocks, sample.lfb_block_kb) == (5, 4096)
    assert (sample.swap_used_mb, sample.swap_total_mb, sample.swap_cached_mb) == (1626, 12122, 181)
    assert sample.cores[1] == Core(49, 2031)
    assert sample.emc == Engine("EMC_FREQ", 1, (1866,), False)
    assert sample.gpu == Engine("GR3D_FREQ", 0, (114,), False)
    assert (sample.mts_fg_percent, sample.mts_bg_percent) == (1, 1)
    assert [zone.celsius for zone in sample.temperatures] == [
        42.5, 42.5, 50.0, 38.0, 39.5, 42.5, 41.3, 39.25,
    ]  # fmt: skip
    assert sample.rails[3] == Rail("VDD_IN", 5297, 5297, None)
    assert (sample.stamp, sample.prefix, sample.unknown) == (None, "", ())


@real_logs
def test_a_line_of_a_real_thor_with_a_gated_rail():
    with open(os.path.join(SHARED, "thor-r38-4-negative-elided.txt")) as stream:
        sample = parse_line(stream.readline())
    assert sample.rails[0] == Rail("VDD_GPU", -392, -392, None)
    assert sample.rails[3] == Rail("VIN", 15004, 15096, None)
    assert sample.stamp == "05-14-2026 21:36:35"


def test_names_that_are_both_rails_and_zones():
    sample = parse_line("RAM 1/2MB (lfb 3x4MB) CPU [5%@6] GPU@7C CPU@8.5C GPU 9/10 CPU 11/12")
    assert [zone.name for zone in sample.temperatures] == ["GPU", "CPU"]
    assert [rail.power_mw for rail in sample.rails] == [9, 11]
    assert sample.cores == (Core(5, 6),)


def test_fields_may_stand_before_ram():
    line = "SWAP 3/4MB (cached 5MB) VDD_IN 6/7 GPU@8C RAM 1/2MB (lfb 9x4MB) APE 25"
    sample = parse_line(line)
    assert (sample.swap_cached_mb, sample.rails[0].power_mw, sample.ram_total_mb) == (5, 6, 2)
    assert (sample.prefix, sample.unknown) == ("", ())


@pytest.mark.parametrize(
    "prefix",
    ["1611685351.123---", "run 3 of 5: ", "node7 12/34 ", "Epoch 3/10 ", "\ufeff", "[07] \t"],
)
def test_what_a_shell_put_before_the_line_is_kept_and_not_read(prefix):
    sample = parse_line(prefix + "RAM 1/2MB (lfb 3x4MB) VDD_IN 5/6")
    assert sample.prefix == prefix
    assert (sample.rails, sample.engines) == ((Rail("VDD_IN", 5, 6, None),), ())


@pytest.mark.parametrize(
    ("words", "unknown"),
    [
        ("VDD_IN NaN/NaN", ("VDD_IN", "NaN/NaN")),
        ("VDD_IN 5/", ("VDD_IN", "5/")),
        ("VDD_IN 12345678901/1", ("VDD_IN", "12345678901/1")),  # no board draws that
        ("GPU@nanC", ("GPU@nanC",)),
        ("GR3D_FREQ 5%@[,]", ("GR3D_FREQ", "5%@[,]")),
        ("CPU [5%@6,x,off]", ("x",)),
        ("SWAP 1/2MB (cached 3MB) SWAP 4/5MB (cached 6MB)", ("SWAP", "4/5MB", "(cached", "6MB)")),
        ("EDP limit", ("EDP", "limit")),
        ("CPU 5/6MB", ("CPU", "5/6MB")),
        ("SWAP [5%@6]", ("SWAP", "[5%@6]")),
        ("MTS fg 5%", ("MTS", "fg", "5%")),
    ],
)
def test_what_is_not_in_the_grammar_is_kept_as_words(words, unknown):
    sample = parse_line("RAM 1/2MB (lfb 3x4MB) %s VDD_CPU 7/8" % words)
    assert sample.unknown == unknown
    assert sample.rails[-1] == Rail("VDD_CPU", 7, 8, None)


def test_a_rail_without_an_average():
    assert parse_line("RAM 1/2MB VDD_IN 5mW").rails == (Rail("VDD_IN", 5, None, None),)


def test_emc_without_a_clock_is_not_a_reading():
    assert parse_line("RAM 1/2MB EMC_FREQ 0% GR3D_FREQ 0%").emc is None
    assert parse_line("RAM 1/2MB EMC_FREQ 3%@204").emc.load_percent == 3


@pytest.mark.parametrize(
    "line", ["", "RAM", "IRAM 0/252kB(lfb 252kB)", "DRAM 1/2MB", "RAM 1/2GB", "RAM x" * 9999, "\0"]
)
def test_what_is_not_from_tegrastats(line):
    assert parse_line(line) is None


LINE = "RAM 1/2MB (lfb 3x4MB) VDD_IN 5/6 VDD_CPU 7/8\n"


def read(data):
    reader = Reader()
    samples = reader.feed(data.encode("utf-8"))
    reader.close()
    return samples, reader


def test_a_last_line_without_its_newline_is_dropped_and_counted():
    samples, reader = read(LINE + LINE[:-5])
    assert (len(samples), reader.cut, reader.lines) == (1, 1, 2)


def test_a_last_line_cut_before_its_rails_is_dropped_and_counted():
    samples, reader = read(LINE + LINE[:20] + "\n")
    assert (len(samples), reader.cut) == (1, 1)


def test_lines_without_rails_are_no_cut_lines_where_none_has_any():
    samples, reader = read("RAM 1/2MB (lfb 3x4MB) cpu [4%,5%]@6\n" * 3)
    assert (len(samples), reader.cut) == (3, 0)


@pytest.mark.parametrize("stamp", ["", "07-21-2025 16:33:42 "])
@pytest.mark.parametrize("at", range(22, len(LINE) - 1))
def test_half_a_line_that_runs_into_the_next_costs_only_itself(at, stamp):
    """As when tegrastats is killed and begun again with >> onto the same file."""
    samples, reader = read(LINE + LINE[:at] + stamp + LINE)
    good = [
        s for s in samples if s.rails == (Rail("VDD_IN", 5, 6, None), Rail("VDD_CPU", 7, 8, None))
    ]
    if LINE[at - 1] in "VDINCPU_" and not stamp:  # "VDD_RAM 1/2MB": where it begins cannot be told
        assert len(good) >= 1
    else:
        assert (len(good), reader.cut) == (2, 1)
        assert samples[1].stamp == (stamp.strip() or None)


def test_windows_line_ends_and_blank_lines():
    samples, reader = read(LINE.replace("\n", "\r\n") + "\r\n\n  \n" + LINE)
    assert [sample.line_number for sample in samples] == [1, 5]
    assert (reader.lines, reader.foreign) == (2, 0)


def test_pieces_of_any_size_give_the_same_samples():
    with open(COMPOSED[0], "rb") as stream:
        data = stream.read()
    whole = [read_back(sample) for sample in Reader().feed(data)]
    for size in (1, 7, 100):
        reader = Reader()
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        samples = [sample for piece in pieces for sample in reader.feed(piece)]
        assert [read_back(sample) for sample in samples] == whole


def test_a_line_without_end_takes_no_memory_and_no_sample():
    reader = Reader()
    for _ in range(100):
        assert reader.feed(b"RAM 1/2MB (lfb 3x4MB) " * 1000) == []
    assert len(reader._rest) < 20000
    assert [sample.rails for sample in reader.feed(b"\n" + LINE.encode())] == [
        (Rail("VDD_IN", 5, 6, None), Rail("VDD_CPU", 7, 8, None))
    ]
    assert reader.foreign == 1


def test_readings_of_a_line():
    line = (
        "RAM 1/2MB EMC_FREQ 3%@204 GR3D_FREQ 4%@[305,0] cpu@5.5C NC 1mW/1mW VIN 7mW/8mW NC 2mW/2mW"
    )
    assert readings(line) == (
        {"VIN": 7},
        {"celsius/cpu": 5.5, "gpu_load_percent": 4, "gpu_mhz": 305, "emc_mhz": 204},
    )
    assert readings("Tue Jan 26 18:22:31 UTC 2021") == ({}, {})
