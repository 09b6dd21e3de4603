"""The commands of examples/README.md, run as they are written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from test_readme import ROOT, commands, run_in


@pytest.mark.slow
def test_the_commands_of_the_example_are_run(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path, dirs_exist_ok=True)
    for command in commands("examples/README.md"):
        done = run_in(tmp_path, command)
        assert done.returncode == 0, (command, done.stderr)
    cost = json.loads((tmp_path / "small.bundle" / "manifest.json").read_text())["cost"]
    assert cost["params"] <= 1500
    assert (tmp_path / "report.html").stat().st_size > 10_000
