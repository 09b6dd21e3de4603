"""The images: what they name exists, entry point and run script on fake hosts, Python 3.6."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import edgesynth_rt
from edgesynth.hardware.target import load_target

ROOT = Path(__file__).resolve().parents[1]
DOCKER = ROOT / "docker"
JETPACKS = ("jetpack-4.6", "jetpack-5.1", "jetpack-6.2", "jetpack-7")
IMAGES = (*JETPACKS, "workstation")
RELEASE = "# R{} (release), REVISION: {}, GCID: 29818004, BOARD: t186ref, EABI: aarch64, DATE: x\n"
PYTHON36 = Path.home() / ".pyenv/versions/3.6.15/bin/python3.6"

HOSTS = [  # L4T of the host, image that fits
    ("32", "7.1", "jetpack-4.6"),
    ("32", "7.6", "jetpack-4.6"),
    ("35", "1.0", "jetpack-5.1"),
    ("35", "4.1", "jetpack-5.1"),
    ("36", "4.3", "jetpack-6.2"),
    ("36", "5.0", "jetpack-6.2"),
    ("38", "2.0", "jetpack-7"),
    ("39", "0", "jetpack-7"),
]
NO_IMAGE = [("28", "2.1"), ("32", "6.1"), ("34", "1.1"), ("36", "3.0"), ("40", "1.0")]


def instructions(image: str) -> list[tuple[str, str]]:
    """(INSTRUCTION, rest) of a Dockerfile, continued lines joined, ${ARG} replaced by defaults."""
    text = (DOCKER / image / "Dockerfile").read_text()
    text = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    found = [tuple(line.split(None, 1)) for line in text.splitlines() if line.strip()]
    defaults = dict(rest.split("=", 1) for word, rest in found if word == "ARG")
    return [
        (word, re.sub(r"\$\{(\w+)\}", lambda match: defaults[match.group(1)], rest))
        for word, rest in found
    ]


def values(image: str, word: str) -> list[str]:
    return [rest for found, rest in instructions(image) if found == word]


def labels(image: str) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in shlex.split(" ".join(values(image, "LABEL"))))


def started(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
        **options,
    )


# -- Dockerfiles ----------------------------------------------------------------------------------


@pytest.mark.parametrize("image", IMAGES)
def test_hadolint_finds_nothing(image: str) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = started([str(hadolint), str(DOCKER / image / "Dockerfile")], cwd=ROOT)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("image", IMAGES)
def test_every_copied_path_exists_and_reaches_the_build(image: str) -> None:
    sent = [line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line[0] == "!"]
    for copied in values(image, "COPY"):
        if copied.startswith("--from="):
            continue
        for source in copied.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert source.split("/")[0] in sent, source


@pytest.mark.parametrize("image", IMAGES)
def test_every_script_it_runs_was_copied_and_may_run(image: str) -> None:
    copied = {Path(word).name for rest in values(image, "COPY") for word in rest.split()[:-1]}
    everything = (DOCKER / image / "Dockerfile").read_text()
    scripts = set(re.findall(r"/([\w-]+\.sh)\b", " ".join(values(image, "RUN"))))
    scripts |= set(re.findall(r"entrypoint\.sh", everything))
    assert scripts <= copied
    for name in scripts:
        (script,) = [*DOCKER.glob(name), *(DOCKER / image).glob(name)]
        assert os.access(script, os.X_OK), f"{script} is not executable"


@pytest.mark.parametrize("image", IMAGES)
def test_base_images_are_pinned(image: str) -> None:
    bases = {rest.split()[0] for rest in values(image, "FROM")}
    assert len(bases) == 1
    (base,) = bases
    name, _, tag = base.rpartition(":")
    assert name
    assert re.search(r"\d+\.\d+", tag), f"{base} names no version"
    assert labels(image)["org.opencontainers.image.base.name"].endswith(base)


@pytest.mark.parametrize("image", IMAGES)
def test_the_user_is_not_root(image: str) -> None:
    (user,) = values(image, "USER")
    assert user == "1000"
    order = [word for word, _ in instructions(image)]
    assert order.index("USER") < order.index("ENTRYPOINT")


@pytest.mark.parametrize("image", IMAGES)
def test_package_lists_do_not_stay(image: str) -> None:
    for rest in values(image, "RUN"):
        if "apt-get install" in rest:
            assert "--no-install-recommends" in rest
            assert "rm -rf /var/lib/apt/lists/*" in rest


def test_dead_package_list_of_l4t_32_goes_before_it_is_read() -> None:
    updates = [rest for rest in values("jetpack-4.6", "RUN") if "apt-get update" in rest]
    assert len(updates) == 2
    for rest in updates:
        removed = rest.index("rm -f /etc/apt/sources.list.d/cuda.list")
        assert removed < rest.index("apt-get update")


@pytest.mark.parametrize("image", JETPACKS)
def test_labels_agree_with_the_target(image: str) -> None:
    found, target = labels(image), load_target(image)
    assert f"{target.runtime.version}.".startswith(found["edgesynth.tensorrt"] + ".")
    assert found["org.opencontainers.image.version"] == edgesynth_rt.__version__
    start = values(image, "ENTRYPOINT")[0]
    assert f'"--from", "{found["edgesynth.l4t"]}"' in start
    assert start.rstrip("]") in values(image, "HEALTHCHECK")[0]
    assert "OPENBLAS_CORETYPE=ARMV8" in values(image, "ENV")[0]


@pytest.mark.parametrize("image", JETPACKS)
def test_no_engine_is_in_the_image(image: str) -> None:
    assert "VOLUME" in dict(instructions(image))
    assert not re.search(r"trtexec|\.engine|edgesynth_rt build", " ".join(values(image, "RUN")))


@pytest.mark.parametrize("image", JETPACKS)
def test_python_packages_are_exact(image: str) -> None:
    lines = (DOCKER / image / "requirements.txt").read_text().splitlines()
    names = [line for line in lines if not line.startswith("#")]
    assert any(name.startswith("numpy==") for name in names)
    assert all(re.fullmatch(r"[\w-]+==[\d.]+", name) for name in names)


def test_compose_file_names_what_exists() -> None:
    services = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]
    assert tuple(services) == IMAGES
    for name, service in services.items():
        build = service["build"]
        assert (DOCKER / build["context"] / build["dockerfile"]).resolve() == (
            DOCKER / name / "Dockerfile"
        )
        assert service["image"] == f"edgesynth:{name}"
        mounts = dict(re.split(r":(?=/)", mount, maxsplit=1) for mount in service["volumes"])
        writable = {place for place in mounts.values() if not place.endswith(":ro")}
        assert writable <= {"/work", "/var/cache/edgesynth"}
        assert "privileged" not in service


# -- entry point ----------------------------------------------------------------------------------


@pytest.fixture
def python3(tmp_path: Path) -> dict[str, str]:
    """An environment whose `python3` prints the arguments that it is started with."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "python3"
    program.write_text("#!/bin/sh\nprintf '<%s>' \"$@\"\n")
    program.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def enter(image: str, *words: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Start the image's entry point, as its Dockerfile does, in the smallest shell there is."""
    _, *options = json.loads(values(image, "ENTRYPOINT")[0])
    shell = shutil.which("dash") or "/bin/sh"
    return started([shell, str(DOCKER / "entrypoint.sh"), *options, *words], env=env)


@pytest.mark.parametrize(("major", "revision", "fitting"), HOSTS)
@pytest.mark.parametrize("image", JETPACKS)
def test_entry_point_takes_only_its_own_hosts(
    tmp_path: Path, python3: dict[str, str], image: str, major: str, revision: str, fitting: str
) -> None:
    file = tmp_path / "release"
    file.write_text(RELEASE.format(major, revision))
    done = enter(image, "--release-file", str(file), "bench", "a b.bundle", env=python3)
    if image == fitting:
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == "<-m><edgesynth_rt><bench><a b.bundle>"
    else:
        assert (done.returncode, done.stdout) == (4, "")
        assert done.stderr.count("\n") == 1
        assert f"this host runs L4T {major}.{revision}" in done.stderr


@pytest.mark.parametrize(("major", "revision"), NO_IMAGE)
def test_no_entry_point_takes_the_hosts_between(
    tmp_path: Path, python3: dict[str, str], major: str, revision: str
) -> None:
    file = tmp_path / "release"
    file.write_text(RELEASE.format(major, revision))
    for image in JETPACKS:
        assert enter(image, "--release-file", str(file), env=python3).returncode == 4


@pytest.mark.parametrize("text", [None, "", "hello\n", "# R32 (release)\n", "# R3x (release)\n"])
def test_entry_point_without_a_readable_release(
    tmp_path: Path, python3: dict[str, str], text: str | None
) -> None:
    file = tmp_path / "release"
    if text is not None:
        file.write_text(text)
    done = enter("jetpack-4.6", "--release-file", str(file), "probe", env=python3)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("edgesynth: ")
    assert done.stderr.count("\n") == 1
    assert str(file) in done.stderr


def test_entry_point_takes_a_version_instead_of_the_file(python3: dict[str, str]) -> None:
    assert enter("jetpack-6.2", "--host-l4t", "36.4.4", "probe", env=python3).returncode == 0
    assert enter("jetpack-6.2", "--host-l4t", "36.3.0", "probe", env=python3).returncode == 4
    assert enter("jetpack-6.2", "--host-l4t", "36", "probe", env=python3).returncode == 2
    assert enter("jetpack-6.2", "--host-l4t", env=python3).returncode == 2


def test_health_check_says_that_the_driver_is_missing() -> None:
    """On this machine's own Python, in which no Jetson driver can be loaded."""
    if (
        started([sys.executable, "-c", "import ctypes; ctypes.CDLL('libcuda.so.1')"]).returncode
        == 0
    ):
        pytest.skip("this machine has a GPU driver")
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "deploy"),
    }
    done = enter("jetpack-5.1", "--host-l4t", "35.4.1", "--check", env=environment)
    assert done.returncode == 1
    assert done.stderr == (
        "edgesynth: the GPU driver is not in the container; start with docker/run.sh\n"
    )


# -- run.sh ---------------------------------------------------------------------------------------


def host(root: Path, major: str, revision: str) -> Path:
    """A fake Jetson below `root`."""
    for name in ("etc", "usr/bin", "sys", "var/lib/nvpmodel"):
        (root / name).mkdir(parents=True)
    (root / "etc/nv_tegra_release").write_text(RELEASE.format(major, revision))
    (root / "etc/group").write_text(
        "root:x:0:\nvideo:x:44:nvidia\ni2c:x:108:nvidia\nrender:x:104:\n"
    )
    (root / "usr/bin/tegrastats").write_text("")
    (root / "var/lib/nvpmodel/status").write_text("pmode:0000")
    return root


def run_script(root: Path, *words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    bash = shutil.which("bash") or "bash"
    return started([bash, str(DOCKER / "run.sh"), "--host-root", str(root), *words], cwd=cwd)


@pytest.mark.parametrize(("major", "revision", "image"), HOSTS)
def test_run_script_picks_image_and_flags(
    tmp_path: Path, major: str, revision: str, image: str
) -> None:
    root = host(tmp_path / "a jetson", major, revision)
    done = run_script(root, "--dry-run", "bench", "my net.bundle", "--duration", "5", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    words = shlex.split(done.stdout)
    assert words[:3] == ["docker", "run", "--rm"]
    assert words[-5:] == [f"edgesynth:{image}", "bench", "my net.bundle", "--duration", "5"]
    assert words[words.index("--runtime") + 1] == "nvidia"
    assert ("--gpus" in words) == (image == "jetpack-7")
    assert "--privileged" not in words
    groups = [words[at + 1] for at, word in enumerate(words) if word == "--group-add"]
    assert groups == ["44", "104", "108"]
    mounts = [words[at + 1] for at, word in enumerate(words) if word == "--volume"]
    own = [f"edgesynth-{image}:/var/cache/edgesynth", f"{tmp_path}:/work"]
    assert mounts[-2:] == own
    assert mounts[:-2] == [
        f"{root}/{name}:/{name}:ro"
        for name in (
            "etc/nv_tegra_release",
            "sys",
            "usr/bin/tegrastats",
            "var/lib/nvpmodel/status",  # the fake board has no nvpmodel.conf, so none is mounted
        )
    ]


@pytest.mark.parametrize(("major", "revision"), NO_IMAGE)
def test_run_script_has_no_image(tmp_path: Path, major: str, revision: str) -> None:
    done = run_script(host(tmp_path / "jetson", major, revision), "--dry-run", "probe")
    assert (done.returncode, done.stdout) == (4, "")
    assert f"there is no image for L4T {major}.{revision}" in done.stderr
    assert done.stderr.count("\n") == 1


def test_run_script_on_a_machine_that_is_no_jetson(tmp_path: Path) -> None:
    done = run_script(tmp_path, "--dry-run", "probe")
    assert done.returncode == 4
    assert "this is no Jetson" in done.stderr


def test_run_script_takes_the_version_from_the_package(tmp_path: Path) -> None:
    if shutil.which("dpkg-query") is None:
        pytest.skip("dpkg-query is not here")
    database = tmp_path / "var/lib/dpkg"
    database.mkdir(parents=True)
    (database / "status").write_text(
        "Package: nvidia-l4t-core\nStatus: install ok installed\nMaintainer: x <x@x>\n"
        "Architecture: arm64\nVersion: 36.4.3-20250107174145\nDescription: x\n\n"
    )
    done = run_script(tmp_path, "--dry-run", "probe")
    assert shlex.split(done.stdout)[-4:] == [
        "edgesynth:jetpack-6.2",
        "--host-l4t",
        "36.4.3",
        "probe",
    ]


def test_run_script_uses_the_container_device_interface_where_it_is_set_up(tmp_path: Path) -> None:
    root = host(tmp_path / "thor", "38", "2.0")
    (root / "etc/cdi").mkdir()
    (root / "etc/cdi/nvidia.yaml").write_text("")
    words = shlex.split(run_script(root, "--dry-run", "probe").stdout)
    assert words[words.index("--device") + 1] == "nvidia.com/gpu=all"
    assert "--runtime" not in words


def test_run_script_builds_first(tmp_path: Path) -> None:
    root = host(tmp_path / "tx2", "32", "7.4")
    done = run_script(root, "--dry-run", "--build", "--image", "mine:1", "probe")
    build, run = map(shlex.split, done.stdout.splitlines())
    assert build[:2] == ["docker", "build"]
    assert build[build.index("--file") + 1] == str(DOCKER / "jetpack-4.6/Dockerfile")
    assert build[-1] == str(ROOT)
    assert build[build.index("--build-arg") + 1] != "EDGESYNTH_UID=0"
    assert "mine:1" in build
    assert run[-2:] == ["mine:1", "probe"]


@pytest.mark.parametrize("words", [("--nonsense",), ("--image",)])
def test_run_script_says_what_is_wrong_with_its_options(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    done = run_script(tmp_path, *words)
    assert done.returncode == 2
    assert words[0] in done.stderr


# -- installation ---------------------------------------------------------------------------------


def test_building_pycuda_without_cuda_says_what_to_do(tmp_path: Path) -> None:
    done = started(
        ["sh", str(DOCKER / "build-pycuda.sh"), "2022.1", str(tmp_path)],
        env={**os.environ, "CUDA_ROOT": str(tmp_path)},
    )
    assert done.returncode == 4
    assert "default-runtime" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("uid", ["0", "", "root"])
def test_no_image_is_made_for_root(uid: str) -> None:
    done = started(["sh", str(DOCKER / "make-user.sh"), uid])
    assert done.returncode == 2
    assert "must be a number above 0" in done.stderr


@pytest.mark.slow
def test_the_boards_python_installs_and_imports(tmp_path: Path) -> None:
    """The steps of the JetPack 4.6 image that need no CUDA, on CPython 3.6 itself."""
    if not PYTHON36.exists():
        pytest.skip("Python 3.6 (pyenv's 3.6.15) is not here")
    subprocess.run([str(PYTHON36), "-m", "venv", str(tmp_path / "v")], check=True, timeout=120)
    python = str(tmp_path / "v/bin/python")
    requirements = DOCKER / "jetpack-4.6/requirements.txt"
    environment = {**os.environ, "PYTHON": python, "PYTHONPATH": str(ROOT / "deploy")}
    done = started(["sh", str(DOCKER / "install-python.sh"), str(requirements)], env=environment)
    assert done.returncode == 0, done.stderr
    assert started([python, "-m", "pip", "check"]).returncode == 0
    report = (
        "import edgesynth_rt.verify, numpy, sys; print(sys.version_info[:2], numpy.__version__)"
    )
    done = started([python, "-c", report], env=environment)
    assert done.stdout == "(3, 6) 1.19.4\n", done.stderr


# -- plugin library -------------------------------------------------------------------------------


def test_plugins_need_nvcc_and_tensorrts_headers(tmp_path: Path) -> None:
    script = [str(DOCKER / "build-plugins.sh"), str(ROOT / "kernels"), str(tmp_path), "62"]
    environment = {"PATH": os.environ["PATH"], "CUDA_ROOT": str(tmp_path)}
    done = started(script, env=environment)
    assert done.returncode == 4 and done.stderr.count("\n") == 1 and "no nvcc in" in done.stderr
    (tmp_path / "bin").mkdir()
    nvcc = tmp_path / "bin" / "nvcc"
    nvcc.write_text("#!/bin/sh\n")
    nvcc.chmod(0o755)
    done = started(script, env={**environment, "TENSORRT_INCLUDE": str(tmp_path)})
    assert done.returncode == 4 and done.stderr.count("\n") == 1
    assert "no NvInfer.h" in done.stderr and "libnvinfer-dev" in done.stderr


@pytest.mark.parametrize("image", JETPACKS)
def test_the_image_finds_its_own_plugins(image: str) -> None:
    (place,) = re.findall(r"EDGESYNTH_PLUGINS=(\S+)", values(image, "ENV")[0])
    assert f"--from=compiled /build/lib {Path(place).parent}" in values(image, "COPY")
    (built,) = [rest for rest in values(image, "RUN") if "build-plugins.sh" in rest]
    assert shlex.split(built)[1:3] == ["/build/kernels", "/build/lib"]
