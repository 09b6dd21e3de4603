"""The commands of README and docs: all are understood, and those on one's own network are run."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
import torch
from PIL import Image

from edgesynth.cli.main import cli

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "CONTRIBUTING.md", "docs/board.md", "docker/README.md", "examples/README.md")
NETWORK = """
from torch import nn


def make() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, stride=2), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 24, 3, stride=2), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, 2),
    )
"""


def commands(page: str) -> list[str]:
    """Every `edgesynth ...` line of the page's shell blocks, continuation lines joined."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if line.strip().startswith("edgesynth ")]


def words(command: str) -> list[str]:
    return shlex.split(command, comments=True)[1:]


def run_in(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    """The command as a user in `folder` gives it."""
    return subprocess.run(
        [sys.executable, "-m", "edgesynth.cli.main", *words(command)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("command", [c for page in PAGES for c in commands(page)])
def test_a_written_command_is_understood(command: str) -> None:
    name, *arguments = words(command)
    found = cli.get_command(click.Context(cli), name)
    assert found is not None, name
    found.make_context(name, arguments).close()


def test_the_readme_has_its_commands() -> None:
    names = {words(command)[0] for command in commands("README.md")}
    assert {"export", "check", "predict", "bench", "evolve", "deploy", "power", "report"} <= names


def make_user_folder(folder: Path) -> None:
    """A package with a network, its weights, and a folder of images to tell apart."""
    (folder / "mypackage").mkdir()
    (folder / "mypackage" / "__init__.py").touch()
    (folder / "mypackage" / "nets.py").write_text(NETWORK)
    space: dict[str, object] = {}
    exec(NETWORK, space)
    torch.manual_seed(0)
    torch.save(space["make"]().state_dict(), folder / "best.pt")  # type: ignore[operator]
    rng = np.random.default_rng(0)
    for label, brightness in (("dark", 60), ("bright", 180)):
        (folder / "parts" / label).mkdir(parents=True)
        for index in range(24):
            pixels = rng.integers(brightness - 50, brightness + 50, (224, 224, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "parts" / label / f"{index}.png")


@pytest.mark.slow
def test_the_commands_on_ones_own_network_are_run(tmp_path: Path) -> None:
    make_user_folder(tmp_path)
    text = (ROOT / "README.md").read_text()
    section = text[text.index("## Your own network") : text.index("## A detector")]
    own = [
        command
        for command in commands("README.md")
        if " ".join(command.split()) in " ".join(section.replace("\\\n", " ").split())
    ]
    assert len(own) == 6
    for command in own:
        done = run_in(tmp_path, command)
        # evolve may end with 1: on 48 images a bound on accuracy is a matter of luck
        allowed = {0, 1} if words(command)[0] == "evolve" else {0}
        assert done.returncode in allowed, (command, done.stderr)
    assert (tmp_path / "small.bundle" / "manifest.json").is_file()
