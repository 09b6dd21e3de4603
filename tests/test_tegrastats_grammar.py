"""Lines made from the grammar are read back; damaged ones never raise, hang or invent a value."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesynth_rt.tegrastats import MAX_LINE_CHARS, parse_line
from edgesynth_rt.tegrastats_reader import Reader
from mutate import mutated, read_log, rounds, tegrastats_seeds
from tegrastats_grammar import lines, read_back


@settings(max_examples=200)
@given(lines())
def test_a_line_is_read_back(meaning_and_line):
    meaning, line = meaning_and_line
    assert read_back(parse_line(line)) == meaning


@settings(max_examples=50)
@given(lines(), st.integers(1, 50))
def test_a_log_is_read_back_however_it_comes_in_pieces(meaning_and_line, size):
    _, line = meaning_and_line
    data = (line + "\n").encode() * 2
    whole, pieces = Reader(), Reader()
    expected = [read_back(sample) for sample in whole.feed(data)]
    found = [s for at in range(0, len(data), size) for s in pieces.feed(data[at : at + size])]
    assert [read_back(sample) for sample in found] == expected


@settings(max_examples=50)
@given(lines(), st.integers(0, 2000))
def test_a_cut_line_reads_nothing_that_the_whole_one_does_not_say(meaning_and_line, at):
    """Only its last value can be wrong, which is why readers drop a line without its newline."""
    _, line = meaning_and_line
    whole, half = parse_line(line), parse_line(line[: at % len(line)])
    if half is not None:
        for kind in ("rails", "temperatures", "engines"):
            certain = getattr(half, kind)[:-1]
            assert certain == getattr(whole, kind)[: len(certain)]


@given(st.text() | st.text("RAM 0123456789/MB(lfbx4)[]@%,-"))
def test_any_text_is_a_sample_or_none(text):
    parse_line(text)
    parse_line("RAM 1/2MB " + text)


def test_damaged_logs_are_read_without_a_traceback():
    samples = 0
    for number, data in rounds(tegrastats_seeds(), 0, 400):
        try:
            samples += read_log(data)
        except Exception as error:
            pytest.fail(f"round {number}: {error!r} for {data!r}")
    assert samples > 400  # most lines outlive the damage: it is not only rubbish that is fed


def test_mutations_differ_and_repeat():
    seeds = tegrastats_seeds()
    first = dict(rounds(seeds, 0, 50))
    assert first == dict(rounds(seeds, 0, 50))
    assert len(set(first.values())) > 45
    assert all(data != mutated for data, mutated in zip(seeds, first.values(), strict=False))
    assert mutated


@pytest.mark.parametrize(
    "piece",
    [
        "RAM 1/2MB ",
        "A",
        "A ",
        "A1 ",
        "A@",
        "9",
        "9/",
        "CPU [",
        "[",
        "1%@",
        "-",
        "@[9,",
        " ",
        "off ",
    ],
)
def test_the_longest_line_takes_no_time(piece):
    """No pattern of the grammar goes back and forth over a line."""
    line = "RAM 1/2MB " + piece * (MAX_LINE_CHARS // len(piece) - 10)
    assert len(line) <= MAX_LINE_CHARS
    before_s = time.process_time()
    assert parse_line(line) is not None
    assert time.process_time() - before_s < 0.5
