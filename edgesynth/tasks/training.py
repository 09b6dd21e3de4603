"""The training loop: seeded, resumable at every epoch, and true to a network's masks."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from edgesynth.core.dataset import Dataset
from edgesynth.core.errors import UserError
from edgesynth.core.network import Preprocessing
from edgesynth.core.progress import Progress, Silent
from edgesynth.core.progress import Task as Bar
from edgesynth.tasks.augmentation import parse_augmentation
from edgesynth.tasks.hooks import Hook, Moment, StopTraining
from edgesynth.tasks.layout import preferred_layout, set_layout
from edgesynth.tasks.pixels import to_input
from edgesynth.tasks.source import task_named
from edgesynth.tasks.task import Task
from edgesynth_rt.files import write_bytes


@dataclass(frozen=True)
class TrainingPlan:
    """How a network is trained. The learning rate rises over the first steps, then falls as half
    a cosine to zero at the end."""

    epochs: int
    batch: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    warm_up: float = 0.05
    """Share of all steps over which the learning rate rises."""
    augment: str = "none"
    """See `augmentation.parse_augmentation`."""


def train(
    module: nn.Module,
    dataset: Dataset,
    preprocessing: Preprocessing,
    plan: TrainingPlan,
    *,
    seed: int,
    task: Task | None = None,
    hooks: Sequence[Hook] = (),
    checkpoint: Path | None = None,
    progress: Progress | None = None,
    label: str = "train",
) -> None:
    """Train `module` in place on the train split and leave it in evaluation mode.

    `task` is the data set's own unless given. `hooks` see every step (masks are applied there) and
    may end the training early by `StopTraining`.
    With `checkpoint`, the state is kept in that file after each epoch and taken up again from it;
    the weights are then the same as without the interruption. Same seed, same machine, same
    threads: same weights.

    Raises UserError when the checkpoint belongs to another training, or the loss is not finite.
    """
    layout = preferred_layout(module, dataset.input_shape)
    set_layout(module, layout)  # before the optimizer's state takes the same layout
    optimizer = torch.optim.AdamW(
        module.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay, fused=True
    )
    task = task or task_named(dataset.task)
    steps = math.ceil(len(dataset.train) / plan.batch)
    identity = {"plan": asdict(plan), "seed": seed, "data": dataset.name}
    first = _restore(checkpoint, module, optimizer, identity) if checkpoint else 0
    module.train()
    with (progress or Silent()).track(label, plan.epochs * steps) as bar, suppress(StopTraining):
        bar.advance(first * steps)
        for epoch in range(first, plan.epochs):
            torch.manual_seed(_mix(seed, epoch))
            batches = _batches(dataset, task, preprocessing, plan, (seed, epoch))
            for step, (images, targets) in enumerate(batches, start=epoch * steps):
                moment = Moment(seed, step, step / (plan.epochs * steps))
                _set_rate(optimizer, plan, moment.done)
                loss = partial(task.loss, module, images.to(memory_format=layout), targets)
                value = _step(loss, optimizer, hooks, moment)
                _report(bar, step % steps, value, epoch, label)
            if checkpoint:
                _keep(checkpoint, module, optimizer, identity, epoch + 1)
    set_layout(module, torch.contiguous_format)
    module.eval()


def _batches(
    dataset: Dataset,
    task: Task,
    preprocessing: Preprocessing,
    plan: TrainingPlan,
    seed: tuple[int, int],
) -> Iterable[tuple[torch.Tensor, Any]]:
    random = np.random.default_rng(seed)
    order = random.permutation(len(dataset.train))
    augment = parse_augmentation(plan.augment)
    for start in range(0, len(order), plan.batch):
        indices = order[start : start + plan.batch]
        if len(indices) == 1 and len(order) > 1:
            return  # batch normalization cannot train on a single image
        pixels = augment(dataset.train.images(indices), random)
        yield to_input(pixels, preprocessing), task.targets(dataset.train, indices)


def _step(
    loss: Callable[[], torch.Tensor],
    optimizer: torch.optim.Optimizer,
    hooks: Sequence[Hook],
    moment: Moment,
) -> torch.Tensor:
    optimizer.zero_grad(set_to_none=True)
    for hook in hooks:
        hook.before_forward(moment)
    value = loss()
    value.backward()
    for hook in reversed(hooks):
        hook.after_backward(moment)
    optimizer.step()
    for hook in hooks:
        hook.after_step(moment)
    return value.detach()


def _report(bar: Bar, step: int, value: torch.Tensor, epoch: int, label: str) -> None:
    if step % 20:
        bar.advance()
        return
    loss = float(value)
    if not math.isfinite(loss):
        raise UserError(f"{label}: the loss is {loss} in epoch {epoch + 1}; lower --learning-rate")
    bar.advance(note=f"epoch {epoch + 1} loss {loss:.3f}")


def _set_rate(optimizer: torch.optim.Optimizer, plan: TrainingPlan, done: float) -> None:
    if done < plan.warm_up:
        share = (done + 1e-3) / (plan.warm_up + 1e-3)
    else:
        share = 0.5 * (1 + math.cos(math.pi * (done - plan.warm_up) / (1 - plan.warm_up)))
    for group in optimizer.param_groups:
        group["lr"] = plan.learning_rate * share


def _mix(seed: int, epoch: int) -> int:
    """A seed of its own for every epoch, so that a resumed epoch draws what it would have drawn."""
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])


def _keep(
    path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, identity: Any, epochs: int
) -> None:
    buffer = io.BytesIO()
    state = {"model": module.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save({**state, "identity": identity, "epochs": epochs}, buffer)
    write_bytes(path, buffer.getvalue())


def _restore(path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, identity: Any) -> int:
    """Epochs that were already done."""
    if not path.exists():
        return 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            state = torch.load(path, weights_only=True)
        if state["identity"] != identity:
            raise UserError(
                f"checkpoint {path} belongs to another training (seed, plan or data differ); "
                "choose another --out or remove it"
            )
        module.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        return int(state["epochs"])
    except UserError:
        raise
    except Exception as error:  # a damaged file can make the reader fail in any way
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"checkpoint {path} cannot be used ({reason}); remove it") from None
