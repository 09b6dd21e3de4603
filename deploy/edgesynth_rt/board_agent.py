"""What answers on a board while the host talks to it (Python 3.6, standard library alone).

The host sends this file's source over the connection and runs it, so a board needs nothing but
`python3`. One request goes in as a line of JSON, answers come out as lines of JSON:

    {"do": "plan", "root", "files": [{"path", "size", "sha256"}]}   -> {"done": true, "have", ...}
    {"do": "put", ..., files with "offset"} and the bytes           -> {"stored": path} ... done
    {"do": "run", "root", "argv", "env", "results"}                 -> {"talk": line} ... {"exit"}
    {"do": "list", "root", "path"}                                  -> {"done": true, "files"}
    {"do": "get", "root", "path", "most"}                           -> {"data": base64} ... done
    {"do": "remove", "root", "path"} and {"do": "clean", "root"}    -> done

or {"error": sentence, "code": exit code}. Every path is relative to `root` and stays inside it. A
command that runs ends with the conversation, however that ends: the host says something every few
seconds, and silence or the end of its input stops the command.
"""

import base64
import errno
import fcntl
import hashlib
import json
import os
import platform
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HELLO = "edgesynth-agent/1"
MARKER = ".edgesynth-remote"
INCOMING = ".incoming"
SILENCE_S = 60.0
LOCK_WAIT_S = 20.0
GRACE_S = ((signal.SIGINT, 10.0), (signal.SIGTERM, 3.0), (signal.SIGKILL, 3.0))
MAX_OUT_BYTES = 64 << 20
MAX_TALK_BYTES = 1 << 16
_BLOCK = 1 << 18


class Refused(Exception):  # noqa: N818 - an answer, not a fault
    """A request that cannot be done: a sentence and the exit code that the host ends with."""

    def __init__(self, sentence, code=2):
        Exception.__init__(self, sentence)
        self.code = code


class Agent(object):
    """One conversation: reads a request from `source`, answers on `sink` (binary streams)."""

    def __init__(self, source, sink, silence_s=SILENCE_S, grace=GRACE_S):
        self._source = source
        self._sink = sink
        self._silence_s = silence_s
        self._grace = grace

    def answer(self):
        """Do what the one request asks for."""
        self._say_line("\n" + HELLO)  # whatever the login shell printed stands before it
        try:
            request = json.loads(self._source.readline().decode("utf-8"))
            work = {
                "plan": self._plan,
                "put": self._put,
                "run": self._run,
                "list": self._list,
                "get": self._get,
                "remove": self._remove,
                "clean": self._clean,
            }[request["do"]]
            root = open_root(request["root"], make=request["do"] != "clean")
            if root is None:  # nothing there to clean
                self._say({"done": True})
                return
            with open(os.path.join(root, MARKER), "r+") as lock:
                _lock(lock, root)
                work(root, request)
        except Refused as refused:
            self._say({"error": str(refused), "code": refused.code})
        except OSError as error:
            self._say({"error": _explained(error), "code": 2})

    def _plan(self, root, request):
        have, partial = [], {}
        for entry in request["files"]:
            path = inside(root, entry["path"])
            same_size = os.path.isfile(path) and os.path.getsize(path) == entry["size"]
            if same_size and sha256_of(path) == entry["sha256"]:
                have.append(entry["path"])
                continue
            begun = _incoming(root, entry["sha256"])
            if os.path.isfile(begun):
                partial[entry["path"]] = min(os.path.getsize(begun), entry["size"])
        space = os.statvfs(root)
        self._say(
            {
                "done": True,
                "root": root,
                "have": have,
                "partial": partial,
                "free_bytes": space.f_bavail * space.f_frsize,
                "python": platform.python_version(),
                "machine": platform.machine(),
            }
        )

    def _put(self, root, request):
        os.makedirs(os.path.join(root, INCOMING), exist_ok=True)
        for entry in request["files"]:
            target = inside(root, entry["path"])
            begun = _incoming(root, entry["sha256"])
            if self._receive(begun, entry) != entry["sha256"]:
                os.remove(begun)
                raise Refused("%s arrived damaged; run again" % entry["path"], 3)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            os.replace(begun, target)
            self._say({"stored": entry["path"]})
        shutil.rmtree(os.path.join(root, INCOMING), ignore_errors=True)
        self._say({"done": True})

    def _receive(self, begun, entry):
        """Append what is missing to the file `begun`; returns the SHA-256 of the whole."""
        with open(begun, "r+b" if os.path.exists(begun) else "w+b") as stream:
            digest, left = hashlib.sha256(), entry["offset"]
            while left:
                block = stream.read(min(left, _BLOCK))
                if not block:
                    break
                digest.update(block)
                left -= len(block)
            stream.truncate()
            left = entry["size"] - entry["offset"]
            while left:
                block = self._source.read1(min(left, _BLOCK))
                if not block:
                    stream.flush()
                    raise Refused("the connection ended inside %s" % entry["path"], 3)
                stream.write(block)
                stream.flush()  # what has arrived stays, whatever happens next
                digest.update(block)
                left -= len(block)
            os.fsync(stream.fileno())
        return digest.hexdigest()

    def _run(self, root, request):
        environment = dict(os.environ, **request.get("env", {}))
        if request.get("results"):  # a folder for what the program writes
            os.makedirs(inside(root, request["results"]), exist_ok=True)
        with tempfile.TemporaryFile() as out:
            try:
                child = subprocess.Popen(  # noqa: S603 - a list, no shell
                    request["argv"],
                    cwd=root,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.PIPE,
                    start_new_session=True,
                )
            except OSError as error:
                raise Refused("%s cannot be run: %s" % (request["argv"][0], error.strerror), 4)
            try:
                self._relay(child)
            finally:
                end_group(child, self._grace)
            out.seek(0)
            text = out.read(MAX_OUT_BYTES + 1)
        if len(text) > MAX_OUT_BYTES:
            raise Refused("%s printed more than %d MiB" % (request["argv"][0], MAX_OUT_BYTES >> 20))
        code = child.returncode if child.returncode >= 0 else 128 - child.returncode
        self._say({"done": True, "exit": code, "out": text.decode("utf-8", "replace")})

    def _relay(self, child):
        """Pass on what `child` says until it ends; returns early when the host has gone."""
        talk, heard = b"", time.monotonic()
        host, stderr = self._source.fileno(), child.stderr.fileno()
        watched = [host, stderr]
        while child.poll() is None or stderr in watched:
            ended = child.poll() is not None
            ready = select.select(watched, [], [], 0.1)[0]
            if stderr in ready:
                block = os.read(stderr, _BLOCK)
                if not block:
                    watched.remove(stderr)
                talk = self._talk(talk + block, whole=not block)
            elif ended:  # a grandchild may hold stderr open for ever
                break
            if host in ready:
                if not os.read(host, _BLOCK):
                    return
                heard = time.monotonic()
            if time.monotonic() - heard > self._silence_s:
                return

    def _talk(self, talk, whole):
        """Say the finished lines of `talk` and return the rest."""
        lines = talk.replace(b"\r", b"\n").split(b"\n")
        rest = b"" if whole or len(lines[-1]) > MAX_TALK_BYTES else lines.pop()
        for line in lines:
            if line.strip():
                self._say({"talk": line.decode("utf-8", "replace")[:1000]})
        return rest

    def _list(self, root, request):
        """The plain files of one folder and their sizes in bytes."""
        folder = inside(root, request["path"])
        paths = {name: os.path.join(folder, name) for name in sorted(os.listdir(folder))}
        sizes = {name: os.lstat(path).st_size for name, path in paths.items() if plain(path)}
        self._say({"done": True, "files": sizes})

    def _get(self, root, request):
        path = inside(root, request["path"])
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            raise Refused("%s cannot be read: %s" % (request["path"], error.strerror))
        with os.fdopen(descriptor, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size > request["most"]:
                raise Refused("%s is larger than %d bytes" % (request["path"], request["most"]))
            digest = hashlib.sha256()
            for block in iter(lambda: stream.read(_BLOCK), b""):
                digest.update(block)
                self._say({"data": base64.b64encode(block).decode("ascii")})
        self._say({"done": True, "sha256": digest.hexdigest()})

    def _remove(self, root, request):
        path = inside(root, request["path"])
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        elif os.path.lexists(path):
            os.remove(path)
        self._say({"done": True})

    def _clean(self, root, request):
        """Remove the root, and the folders above it that were made for it and are empty."""
        made = _made(os.path.join(root, MARKER))
        shutil.rmtree(root)
        for folder in made:
            try:
                os.rmdir(folder)
            except OSError:
                break
        self._say({"done": True})

    def _say(self, document):
        self._say_line(json.dumps(document))

    def _say_line(self, line):
        self._sink.write(line.encode("utf-8") + b"\n")
        self._sink.flush()


def open_root(stated, make):
    """The real path of the remote folder; made, and marked as ours, where `make` allows it.

    Returns None when it is not there and shall not be made. Raises Refused for a folder that holds
    something else: the whole folder is removed by "clean".
    """
    root = os.path.realpath(os.path.expanduser(stated))
    marker = os.path.join(root, MARKER)
    if os.path.isfile(marker):
        return root
    if os.path.lexists(root) and (not os.path.isdir(root) or os.listdir(root)):
        raise Refused(
            "%s on the board holds something else; name a new folder with --remote-dir" % root
        )
    if not make:
        return None
    made = []
    above = os.path.dirname(root)
    while not os.path.isdir(above):
        made.append(above)
        above = os.path.dirname(above)
    os.makedirs(root, exist_ok=True)
    try:
        with open(marker, "x") as stream:
            json.dump({"made": made}, stream)
    except FileExistsError:  # another conversation was faster
        pass
    return root


def inside(root, relative):
    """The path of `relative` below `root`; raises Refused when it would be anywhere else."""
    parts = relative.split("/")
    if "\0" in relative or any(part in ("", ".", "..") for part in parts) or parts[0] == MARKER:
        raise Refused("the path %r leaves the remote folder" % relative)
    folder = os.path.join(root, *parts[:-1])
    if os.path.realpath(folder) != folder:
        raise Refused("the path %r goes through a link on the board" % relative)
    return os.path.join(folder, parts[-1])


def plain(path):
    """Whether `path` is a file of its own, no link and no device."""
    return os.path.isfile(path) and not os.path.islink(path)


def sha256_of(path):
    """Hex SHA-256 of the file at `path`."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for block in iter(lambda: stream.read(_BLOCK), b""):
            digest.update(block)
    return digest.hexdigest()


def end_group(child, grace=GRACE_S):
    """End `child` and all of its group: asked as Ctrl-C asks, so that it can put clocks back.

    A group whose first process has ended on being asked has no reason to stay, and is told.
    """
    for number, seconds in grace:
        try:
            os.killpg(child.pid, number)
        except OSError:  # nobody of the group is left
            break
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and _group_lives(child):
            if number == signal.SIGINT and child.poll() is not None:
                break
            time.sleep(0.02)
    child.wait()
    child.stderr.close()


def _group_lives(child):
    child.poll()  # takes an ended child out of its group
    try:
        os.killpg(child.pid, 0)
    except OSError:
        return False
    return True


def _incoming(root, sha256):
    return os.path.join(root, INCOMING, sha256)


def _made(marker):
    """The folders above the root that `open_root` made, the lowest first."""
    try:
        with open(marker) as stream:
            return [str(folder) for folder in json.load(stream)["made"]]
    except (ValueError, KeyError, TypeError):
        return []


def _lock(stream, root):
    """One conversation at a time has the folder; an interrupted one may need a moment to end."""
    deadline = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                raise
        if time.monotonic() > deadline:
            raise Refused(
                "%s on the board is in use by another deployment; wait for it, or give another "
                "--remote-dir" % root,
                3,
            )
        time.sleep(0.1)
    if not os.path.exists(stream.name):
        raise Refused("%s on the board was removed meanwhile; run again" % root, 3)


def _explained(error):
    """One line for what the operating system refused."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the board's disk is full; free some space there, or give another --remote-dir"
    where = " (%s)" % error.filename if error.filename else ""
    return "the board refused: %s%s; is --remote-dir right?" % (error.strerror or error, where)


def _ask_to_end(number, frame):
    """A polite signal ends the conversation by the way that also ends the command."""
    raise SystemExit(128 + number)


def main():
    """Hold one conversation over standard input and output."""
    os.umask(0o077)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, _ask_to_end)
    try:
        Agent(sys.stdin.buffer, sys.stdout.buffer).answer()
    except BrokenPipeError:  # the host has gone; nobody is left to tell
        os._exit(1)


if __name__ == "__main__":
    main()
