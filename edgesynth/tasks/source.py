"""From the name of a task to the task."""

from __future__ import annotations

from edgesynth.core.errors import UserError, nearest
from edgesynth.tasks.classification import Classification
from edgesynth.tasks.detection import Detection
from edgesynth.tasks.segmentation import Segmentation
from edgesynth.tasks.task import Task

_TASKS: dict[str, Task] = {
    "classification": Classification(),
    "detection": Detection(),
    "segmentation": Segmentation(),
}


def task_named(name: str) -> Task:
    """The task called `name`, as data sets and networks carry it.

    Raises UserError when there is none.
    """
    if name not in _TASKS:
        raise UserError(f'no task "{name}"; {nearest(name, list(_TASKS))}')
    return _TASKS[name]
