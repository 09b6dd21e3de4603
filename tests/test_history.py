"""`history.jsonl`: a run that was killed loses at most the line it was writing."""

import msgspec
import pytest

from edgesynth.core.errors import UserError
from edgesynth.core.history import SCHEMA, Offspring, Run, read_history, read_run


def offspring(number: int) -> Offspring:
    return Offspring(
        schema=SCHEMA,
        id=f"g02-{number}",
        generation=2,
        parent="g01-1",
        seed=number,
        synapses=1000 - number,
        clusters=50,
        params=1100,
        macs=90_000,
        size_bytes=4400,
        accuracy_at_birth=0.61,
        accuracy=0.9,
        epochs=2,
        seconds=1.5,
        network=f"networks/g02-{number}.edgenet",
        requirements=[{"requirement": "macs<=90k", "holds": True}],
    )


THREE = [offspring(number) for number in range(3)]
LINES = [msgspec.json.encode(o) + b"\n" for o in THREE]


@pytest.fixture
def file(tmp_path):
    return tmp_path / "history.jsonl"


def test_whole_lines_come_back_as_they_were(file):
    file.write_bytes(b"".join(LINES))
    assert read_history(file) == THREE
    assert msgspec.json.decode(LINES[0])["schema"] == SCHEMA


def test_what_was_chosen_stands_in_the_run_not_in_the_line(file):
    run = Run(
        command="edgesynth evolve parent.edgenet --out run",
        plan={"offspring": 3},
        parent="lenet5",
        parent_sha256="ab" * 32,
        data="fashion-mnist",
        versions={"edgesynth": "0.1.0"},
        selected=["g01-1", "g02-1"],
    )
    file.write_bytes(b"".join(LINES))
    (file.parent / "run.json").write_bytes(msgspec.json.encode(run))
    assert read_run(file.parent) == run
    assert [o.id for o in read_history(file) if o.selected] == ["g02-1"]


@pytest.mark.parametrize(
    ("data", "part"),
    [(b"{", "truncated"), (b'{"selected": 3}', r"\$\.selected"), (b"[]", "object")],
)
def test_a_damaged_run_is_named(file, data, part):
    (file.parent / "run.json").write_bytes(data)
    file.write_bytes(LINES[0])
    for read in (lambda: read_run(file.parent), lambda: read_history(file)):
        with pytest.raises(UserError, match=f"run {file.parent}/run.json.*{part}"):
            read()


def test_a_cut_at_any_byte_loses_only_the_line_that_is_cut(file):
    data = b"".join(LINES[:2])
    for cut in range(len(data) + 1):
        file.write_bytes(data[:cut])
        assert read_history(file) == THREE[: data[:cut].count(b"\n")]


@pytest.mark.parametrize(
    ("line", "part"),
    [
        (b"{}\n", "missing required field `schema`"),
        (b'{"id": 3}\n', r"\$\.id"),
        (b'{"requirements": [{"a": ' + b"[" * 100_000 + b"\n", "recursion"),
        (LINES[1].replace(b'"macs":90000', b'"macs":"many"'), r"\$\.macs"),
        (LINES[1][:40] + b"\n", "truncated"),
        (b"\n", "truncated"),
        (b"\xff\n", "malformed"),
    ],
)
def test_a_malformed_line_is_named(file, line, part):
    file.write_bytes(LINES[0] + line + LINES[2])
    with pytest.raises(UserError, match=f"line 2.*{part}") as caught:
        read_history(file)
    assert str(file) in str(caught.value)


def test_a_history_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="cannot be read: No such file"):
        read_history(tmp_path / "history.jsonl")
