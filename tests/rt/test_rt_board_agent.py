"""The agent on a board's own Python: one process, a request in, lines of JSON out."""

import base64
import hashlib
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from edgesynth_rt import board_agent


class Conversation(object):
    """The agent as `python3 -I -c SOURCE`, as the host starts it."""

    def __init__(self, request, noise=b""):
        with open(board_agent.__file__, "rb") as stream:
            source = stream.read()
        bootstrap = "import sys;exec(compile(sys.stdin.buffer.read(%d),'x','exec'))" % len(source)
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-c", bootstrap],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.say(source + json.dumps(request).encode("utf-8") + b"\n" + noise)

    def say(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def event(self):
        return json.loads(self.process.stdout.readline().decode("utf-8"))

    def events(self, hang_up=False):
        """Every event until the end; hang_up: end the input before the agent has answered."""
        out = b"" if hang_up else self.process.stdout.read()
        rest, err = self.process.communicate(timeout=60)
        assert err == b""
        lines = (out + rest).decode("utf-8").splitlines()
        return [json.loads(line) for line in lines if line not in ("", board_agent.HELLO)]


@pytest.fixture
def root(tmp_path):
    return str(tmp_path / "root")


def entry(path, data, offset=0):
    digest = hashlib.sha256(data).hexdigest()
    return {"path": path, "size": len(data), "sha256": digest, "offset": offset}


def ask(root, payload=b"", **request):
    return Conversation(dict(request, root=root), payload).events(request["do"] == "put")


def read(root, *parts):
    with open(os.path.join(root, *parts), "rb") as stream:
        return stream.read()


def test_put_then_plan(root):
    files = [entry("a b/one", b"1" * 1000), entry("two", b""), entry("three", b"3")]
    stored = ask(root, b"1" * 1000 + b"3", do="put", files=files)
    assert stored == [{"stored": file["path"]} for file in files] + [{"done": True}]
    assert read(root, "a b", "one") == b"1" * 1000
    (plan,) = ask(root, do="plan", files=files + [entry("one", b"1")])
    assert plan["have"] == ["a b/one", "two", "three"] and plan["partial"] == {}
    assert plan["root"] == os.path.realpath(root) and plan["free_bytes"] > 0
    assert plan["python"] == "%d.%d.%d" % sys.version_info[:3]


def test_what_arrived_of_a_broken_put_is_kept_and_completed(root):
    data = bytes(bytearray(range(256))) * 4000
    (refused,) = ask(root, data[:700000], do="put", files=[entry("big", data)])
    assert refused["code"] == 3 and "ended inside big" in refused["error"]
    assert not os.path.exists(os.path.join(root, "big"))
    (plan,) = ask(root, do="plan", files=[entry("big", data)])
    assert plan["partial"] == {"big": 700000}
    ask(root, data[600000:], do="put", files=[entry("big", data, 600000)])  # less than is there
    assert read(root, "big") == data
    assert not os.path.exists(os.path.join(root, board_agent.INCOMING))


def test_what_is_not_what_was_said_is_refused(root):
    (refused,) = ask(root, b"yes", do="put", files=[entry("file", b"no!")])
    assert refused == {"error": "file arrived damaged; run again", "code": 3}
    assert set(os.listdir(root)) == {board_agent.INCOMING, board_agent.MARKER}
    assert os.listdir(os.path.join(root, board_agent.INCOMING)) == []


@pytest.mark.parametrize(
    "path", ["../out", "/out", "a/../../out", "", "a//b", ".", "link/out", board_agent.MARKER, "\0"]
)
def test_paths_stay_inside(root, tmp_path, path):
    ask(root, do="plan", files=[])
    os.symlink(str(tmp_path), os.path.join(root, "link"))
    for request in (
        {"do": "put", "files": [entry(path, b"x")]},
        {"do": "plan", "files": [entry(path, b"x")]},
        {"do": "get", "path": path, "most": 9},
        {"do": "remove", "path": path},
    ):
        (refused,) = ask(root, b"x", **request)
        assert refused["code"] == 2 and "path" in refused["error"]
    assert sorted(os.listdir(str(tmp_path))) == ["root"]


def test_run(root):
    program = "import os, sys; print('out'); sys.stderr.write('a\\rb\\n\\nend'); sys.exit(7)"
    events = ask(root, do="run", argv=[sys.executable, "-c", program])
    talk = [event["talk"] for event in events[:-1]]
    assert talk == ["a", "b", "end"]
    assert events[-1] == {"done": True, "exit": 7, "out": "out\n"}


def test_run_gives_environment_folder_and_signals(root):
    program = "echo $MODE $PWD; kill -9 $$"
    (done,) = ask(root, do="run", argv=["sh", "-c", program], env={"MODE": "MAXN"})
    assert done == {"done": True, "exit": 137, "out": "MAXN %s\n" % os.path.realpath(root)}


def test_a_grandchild_that_stays_is_ended(root):
    program = "sleep 100 & echo $!"
    start = time.time()
    (done,) = ask(root, do="run", argv=["sh", "-c", program])
    assert time.time() - start < 10
    assert not alive(int(done["out"]))


SLEEPER = "trap 'echo back >clocks; exit 0' INT; echo $$ >&2; while :; do sleep 0.1; done"


@pytest.mark.parametrize("how", ["stdin ends", "terminated"])
def test_the_program_ends_with_the_conversation(root, how):
    conversation = Conversation({"do": "run", "root": root, "argv": ["sh", "-c", SLEEPER]})
    conversation.process.stdout.readline(), conversation.process.stdout.readline()
    pid = int(conversation.event()["talk"])
    assert alive(pid)
    if how == "stdin ends":
        conversation.process.stdin.close()
    else:
        conversation.process.send_signal(signal.SIGTERM)
    conversation.process.wait()
    for stream in (conversation.process.stdin, conversation.process.stdout):
        stream.close()
    conversation.process.stderr.close()
    assert not alive(pid)
    assert read(root, "clocks") == b"back\n"


def test_a_host_that_has_gone_silent_is_given_up(root):
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as source, open(os.devnull, "wb") as sink:
        request = {"do": "run", "root": root, "argv": ["sh", "-c", SLEEPER]}
        os.write(writing, json.dumps(request).encode("utf-8") + b"\n")
        start = time.time()
        board_agent.Agent(source, sink, silence_s=0.5).answer()
        assert time.time() - start < 10
        os.close(writing)
    assert read(root, "clocks") == b"back\n"


def test_a_program_that_ignores_being_asked_is_killed(root):
    child = subprocess.Popen(
        ["sh", "-c", "trap '' INT TERM; echo >&2; while :; do sleep 0.1; done"],
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    child.stderr.readline()
    short = ((signal.SIGINT, 0.3), (signal.SIGTERM, 0.3), (signal.SIGKILL, 5.0))
    board_agent.end_group(child, short)
    assert child.returncode == -signal.SIGKILL


def test_get_and_remove(root):
    ask(root, b"abc", do="put", files=[entry("x/y", b"abc")])
    data, done = ask(root, do="get", path="x/y", most=3)
    assert base64.b64decode(data["data"]) == b"abc"
    assert done["sha256"] == hashlib.sha256(b"abc").hexdigest()
    (refused,) = ask(root, do="get", path="x/y", most=2)
    assert "larger than 2 bytes" in refused["error"]
    assert ask(root, do="remove", path="x") == [{"done": True}]
    assert not os.path.exists(os.path.join(root, "x"))


def test_list(root, tmp_path):
    ask(root, b"abc", do="put", files=[entry("x/y", b"abc"), entry("x/z/w", b"")])
    os.symlink(str(tmp_path), os.path.join(root, "x", "link"))
    assert ask(root, do="list", path="x") == [{"done": True, "files": {"y": 3}}]
    (refused,) = ask(root, do="list", path="none")
    assert refused["code"] == 2 and "No such file" in refused["error"]


def test_clean_takes_away_what_was_made_and_no_more(tmp_path):
    (tmp_path / "mine").mkdir()
    root = str(tmp_path / "mine" / "new" / "root")
    ask(root, b"abc", do="put", files=[entry("x/y", b"abc")])
    assert ask(root, do="clean") == [{"done": True}]
    assert os.listdir(str(tmp_path / "mine")) == []
    assert ask(root, do="clean") == [{"done": True}]  # again: nothing to do
    assert os.listdir(str(tmp_path / "mine")) == []


def test_a_folder_of_somebody_else_is_left_alone(tmp_path):
    (tmp_path / "precious").write_text("mine")
    for request in ({"do": "clean"}, {"do": "plan", "files": []}):
        (refused,) = ask(str(tmp_path), **request)
        assert "holds something else" in refused["error"]
    assert (tmp_path / "precious").read_text() == "mine"


def test_one_conversation_at_a_time(root, monkeypatch):
    ask(root, do="plan", files=[])
    first = Conversation({"do": "run", "root": root, "argv": ["sh", "-c", SLEEPER]})
    first.process.stdout.readline(), first.process.stdout.readline()
    first.event()
    monkeypatch.setattr(board_agent, "LOCK_WAIT_S", 0.2)
    with open(os.path.join(root, board_agent.MARKER), "r+") as lock:
        with pytest.raises(board_agent.Refused) as caught:
            board_agent._lock(lock, root)
    assert caught.value.code == 3 and "in use by another deployment" in str(caught.value)
    first.events(hang_up=True)


def test_a_refusal_of_the_system_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    (refused,) = ask(str(tmp_path / "file" / "root"), do="plan", files=[])
    assert refused["code"] == 2 and "the board refused: " in refused["error"]


def alive(pid):
    """Whether the process exists and is no zombie."""
    try:
        with open("/proc/%d/stat" % pid) as stream:
            return stream.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
