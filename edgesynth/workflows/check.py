"""Does a bundle hold what it promises: bytes, numbers, the target's limits, NVIDIA's parser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgesynth.core.errors import UserError
from edgesynth.core.progress import Progress, Silent
from edgesynth.core.requirement import Requirement, parse_requirements
from edgesynth.export.against import Against, check_against
from edgesynth.export.checks import (
    Check,
    check_files,
    check_golden,
    check_nvidia,
    check_policy,
    check_requirement,
    check_target,
)
from edgesynth_rt.bundle import Bundle, open_bundle

SCHEMA = "edgesynth.check/1"
#: What a bundle itself says; everything else has to be measured.
_STATED = ("accuracy", "params", "macs", "size_bytes")


def check(
    path: Path,
    *,
    against: Against | None = None,
    atol: float | None = None,
    rtol: float | None = None,
    require: tuple[str, ...] = (),
    seed: int = 1,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Look at the bundle at `path` from all sides; `"passed"` says whether nothing failed.

    `against` is run in PyTorch (an ONNX file in ONNX Runtime) on the golden inputs and on fresh
    ones drawn with `seed`. `atol` and `rtol` replace the manifest's tolerances. What cannot be
    checked on this machine is in the document as "not checked", with what would change that.

    Raises UserError when there is nothing at `path`, or `against` or a requirement is wrong.
    """
    progress = progress or Silent()
    requirements = [_stated(each) for each in parse_requirements(require)]
    if not path.exists():
        raise UserError(f"there is no bundle at {path}; make one with `edgesynth export`")
    try:
        bundle = open_bundle(path)
    except UserError as error:
        return _document(path, None, [Check("files", "failed", str(error))])
    steps: list[Callable[[], Check]] = [
        lambda: check_files(bundle),
        lambda: check_golden(bundle, atol, rtol),
        lambda: check_target(bundle),
        lambda: check_nvidia(bundle),
    ]
    if bundle.policy is not None:
        steps.insert(2, lambda: check_policy(bundle))
    if against is not None:
        steps.insert(2, lambda: check_against(bundle, against, atol, rtol, seed))
    checks = []
    with bundle, progress.track(f"check {bundle.name}", len(steps)) as task:
        for step in steps:
            checks.append(step())
            task.advance(note=checks[-1].name)
        checks += [check_requirement(bundle, each) for each in requirements]
        return _document(path, bundle, checks)


def _stated(requirement: Requirement) -> Requirement:
    if requirement.key not in _STATED:
        raise UserError(
            f'requirement "{requirement.text}": a bundle does not state {requirement.key}; '
            "measure it with `edgesynth bench --require`"
        )
    return requirement


def _document(path: Path, bundle: Bundle | None, checks: list[Check]) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "bundle": {
            "path": str(path),
            "name": bundle.name if bundle else None,
            "id": bundle.id if bundle else None,
        },
        "target": bundle.manifest["target"] if bundle else None,
        "checks": [each.document() for each in checks],
        "passed": all(each.status != "failed" for each in checks),
    }
