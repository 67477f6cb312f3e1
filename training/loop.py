"""One training: steps, a checkpoint now and then that a killed run goes on from, an average of the weights."""

from __future__ import annotations

import copy
import functools
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import nn

from training.recipe import Workplace

#: Between two checkpoints, seconds: what a kill costs at most.
SAVE_EVERY_S = 30.0
_CPU_FACTS = Path("/proc/cpuinfo")
RUNNING, TRAINED = "running.pt", "trained.pt"


M = TypeVar("M", bound=nn.Module)


class Stateful(Protocol):
    """What a checkpoint keeps: a module, an optimizer."""

    def state_dict(self) -> Any: ...

    def load_state_dict(self, state: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a training is.

    Attributes:
        step: number of this step, from 0; also the seed of what is drawn by lot in it, so that a run that was stopped
            goes on with what it would have seen.
        share: of the whole training that is done, 0..1.
    """

    step: int
    share: float


class Average:
    """An exponential average of a network's weights: what it would be if the rate had been smaller all along.

    Args:
        network: followed.
        keep: of the average at each step, once there were enough of them.
    """

    def __init__(self, network: nn.Module, keep: float = 0.998) -> None:
        self.module = copy.deepcopy(network).eval().requires_grad_(False)
        self._network, self._keep = network, keep

    def update(self, step: int) -> None:
        """Take one step's weights in; what a batch norm counted is copied."""
        keep = min(self._keep, (1 + step) / (10 + step))
        followed = self._network.state_dict()
        with torch.no_grad():
            for name, average in self.module.state_dict().items():
                if average.dtype.is_floating_point:
                    average.lerp_(followed[name], 1 - keep)
                else:
                    average.copy_(followed[name])


def run(
    workplace: Workplace,
    *,
    title: str,
    steps: int,
    network: nn.Module,
    parts: Mapping[str, Stateful],
    step: Callable[[Moment], float],
) -> Path:
    """Train to the end.

    Args:
        workplace: `minutes` there replaces the number of steps.
        title: for the progress.
        steps: of a whole training.
        network: whose weights count.
        parts: whatever else learns, the optimizer among it.
        step: one step, gives its loss.

    Returns:
        A file with the state of the averaged network: tensors alone.

    Raises:
        ArithmeticError: the loss is no number.
    """
    workplace.folder.mkdir(parents=True, exist_ok=True)
    trained = workplace.folder / TRAINED
    if trained.is_file():
        return trained
    torch.set_num_threads(workplace.threads)
    with _tiny_numbers_as_zero():
        return _train(workplace, title, steps, network, parts, step)


@contextmanager
def _tiny_numbers_as_zero() -> Iterator[None]:
    """Denormal numbers cost hundreds of times what others do; afterwards this process has them again."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def _train(
    workplace: Workplace,
    title: str,
    steps: int,
    network: nn.Module,
    parts: Mapping[str, Stateful],
    step: Callable[[Moment], float],
) -> Path:
    trained, running = workplace.folder / TRAINED, workplace.folder / RUNNING
    network.to(memory_format=torch.channels_last)
    average = Average(network)
    kept: dict[str, Stateful] = {"network": network, "average": average.module, **parts}
    done, spent_s = _take_up(running, kept)
    saved = began = time.monotonic()
    with workplace.progress.of(title, steps, begin=done) as tell:
        while (share := _share(workplace, done, steps, spent_s + time.monotonic() - began)) < 1:
            loss = step(Moment(done, share))
            if not math.isfinite(loss):
                raise ArithmeticError(f"{title}: the loss of step {done} is {loss}")
            average.update(done)
            done += 1
            tell(done if workplace.minutes is None else round(share * steps), f"loss {loss:.3f}")
            if time.monotonic() - saved > SAVE_EVERY_S:
                saved = time.monotonic()
                _save(running, {**_states(kept), "steps": done, "spent_s": spent_s + saved - began})
    _save(trained, average.module.state_dict())
    running.unlink(missing_ok=True)
    return trained


def first_weights(make: Callable[[], M], seed: int = 0) -> M:
    """A new network; the same seed gives the same one, whatever was drawn by lot before."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        return make()


def warm_then_cosine(share: float, warm: float = 0.05) -> float:
    """The rate's factor: up in a straight line, down along a cosine (Loshchilov and Hutter 2017, arXiv:1608.03983)."""
    if share < warm:
        return max(share / warm, 0.02)
    return 0.5 * (1 + math.cos(math.pi * (share - warm) / (1 - warm)))


def mixed_precision() -> torch.autocast:
    """For the forward pass: bfloat16, where this processor multiplies it by itself; elsewhere it is slower."""
    return torch.autocast("cpu", torch.bfloat16, enabled=_has_bf16())


@functools.cache
def _has_bf16() -> bool:
    try:
        flags = _CPU_FACTS.read_text("utf-8")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def load_tensors(path: Path) -> dict[str, torch.Tensor]:
    """What `run` gave."""
    state: dict[str, torch.Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def save_tensors(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """As `run` leaves them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _save(path, dict(tensors))


def _share(workplace: Workplace, done: int, steps: int, spent_s: float) -> float:
    return done / steps if workplace.minutes is None else spent_s / (60 * workplace.minutes)


def _states(parts: Mapping[str, Stateful]) -> dict[str, Any]:
    return {name: part.state_dict() for name, part in parts.items()}


def _take_up(path: Path, parts: Mapping[str, Stateful]) -> tuple[int, float]:
    """Steps done and seconds spent by the run that was stopped; 0 without one."""
    if not path.is_file():
        return 0, 0.0
    state = torch.load(path, map_location="cpu", weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return int(state["steps"]), float(state["spent_s"])


def _save(path: Path, state: Any) -> None:
    """In one step: a kill leaves the old one or the new one."""
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)
