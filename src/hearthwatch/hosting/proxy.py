"""`ModelProxy`: a model by name, that is leased for the length of each call and may come and go in between."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from hearthwatch.hosting.leases import Leases


class ModelProxy:
    """Behaves like the loaded model; each call takes a lease, and loads the model where it has left.

    From another thread than the event loop's, a call waits for the load. On the event loop nothing can wait: a plain
    call finds the model right after the `await` that gave the proxy; later it raises StillLoading where the model has
    left. A coroutine method waits. What goes on after its call, such as a generator, is outside the lease.

    Args:
        leases: of the manager.
        loop: that it lives on.
        name: of the model.
    """

    def __init__(self, leases: Leases, loop: asyncio.AbstractEventLoop, name: str) -> None:
        self._leases = leases
        self._loop = loop
        self._name = name

    def __repr__(self) -> str:
        return f"<{self._name}, leased for each call>"

    def __dir__(self) -> list[str]:
        return dir(self._leases.kind(self._name))

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        with self._lease() as model:
            return model(*arguments, **options)

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        known = inspect.getattr_static(self._leases.kind(self._name), attribute, None)
        if inspect.iscoroutinefunction(known):
            return self._awaited(attribute)
        if inspect.isroutine(known):
            return self._called(attribute)
        with self._lease() as model:
            value = getattr(model, attribute)
        return self._called(attribute) if inspect.isroutine(value) else value

    def _called(self, attribute: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            with self._lease() as model:
                return getattr(model, attribute)(*arguments, **options)

        return call

    def _awaited(self, attribute: str) -> Callable[..., Any]:
        async def call(*arguments: Any, **options: Any) -> Any:
            model = await self._leases.acquire(self._name)
            try:
                return await getattr(model, attribute)(*arguments, **options)
            finally:
                self._leases.release(self._name)

        return call

    @contextmanager
    def _lease(self) -> Iterator[Any]:
        here = _running_loop() is self._loop
        if here:
            model = self._leases.take(self._name)
        else:
            model = asyncio.run_coroutine_threadsafe(self._leases.acquire(self._name), self._loop).result()
        try:
            yield model
        finally:
            del model
            if here:
                self._leases.release(self._name)
            else:
                with suppress(RuntimeError):  # the loop has ended meanwhile, and the manager with it
                    self._loop.call_soon_threadsafe(self._leases.release, self._name)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
