"""What every client is: connections, the services behind them, and the way from a question to its typed answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from hearthwatch.client.bodies import body_of
from hearthwatch.client.capabilities import Capability
from hearthwatch.client.configuration import ClientConfig
from hearthwatch.client.pictures import AnyPicture, Outgoing, all_outgoing, is_quick
from hearthwatch.client.transport import Json, ServiceConnection, Surroundings
from hearthwatch.errors import InputError
from hearthwatch.vision.boxes import Box, parse_box

T = TypeVar("T")
#: A box as callers have it: xyxy, or an object with named sides.
AnyBox = Box | Sequence[float] | Mapping[str, float]
#: Fields that are boxes of the caller's picture.
BOX_FIELDS = ("bbox", "face_bbox")


class ServiceClient:
    """A client of one or several services. Used from one event loop; `close` it, or `async with` it.

    Args:
        config: where services are and how patient to be; None: as the environment says.
        max_side: pixels that the longer side of a picture may have on its way; None sends what there is. Answers are
            in the pixels of the picture that was given, either way.
        transport: carries httpx's requests; None: the network.
        surroundings: clock, sleep, chance and trace.

    Raises:
        SettingsError: a variable of the environment cannot be used.
    """

    def __init__(
        self,
        config: ClientConfig | None = None,
        *,
        max_side: int | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        surroundings: Surroundings | None = None,
    ) -> None:
        if max_side is not None and max_side < 1:
            raise ValueError(f"max_side is a number of pixels from 1; got {max_side}")
        self.config = config or ClientConfig.from_environment()
        self._max_side = max_side
        self._surroundings = surroundings or Surroundings()
        timeout = httpx.Timeout(self.config.read_timeout_s, connect=self.config.connect_timeout_s)
        # Pictures of a home go where the settings say, and not to a proxy that some variable names.
        self._http = httpx.AsyncClient(timeout=timeout, transport=transport, trust_env=False)
        self._services: dict[str, ServiceConnection] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections; the client cannot be used any more."""
        await self._http.aclose()

    def service(self, name: str) -> ServiceConnection:
        """The connection to a service, with its circuits."""
        if name not in self._services:
            self._services[name] = ServiceConnection(name, self.config, self._http, self._surroundings)
        return self._services[name]

    @property
    def weights(self) -> dict[str, str]:
        """real, sample, custom or mixed, by capability (`enrichment_pose`): what its last answer came from."""
        return {name: origin for service in self._services.values() for name, origin in service.weights.items()}

    def _home(self, capability: Capability) -> ServiceConnection:
        """The service that is asked for it."""
        return self.service(self.config.homes.get(capability.model, capability.service))

    async def _ask(
        self,
        capability: Capability,
        read: Callable[[Json], T],
        picture: AnyPicture,
        fields: Mapping[str, Any],
        *,
        frames: Sequence[AnyPicture] = (),
        timeout_s: float | None = None,
    ) -> T:
        """One question about a picture, and maybe those before it."""
        deadline = self._deadline(timeout_s)
        sent, *beside = await self._outgoing([picture, *frames])
        body = body_of(_inward(fields, sent), sent, beside, raw=capability.raw)
        return await self._home(capability).ask(capability, body, lambda told: read(sent.outward(told.body)), deadline)

    async def _ask_about_frames(
        self,
        capability: Capability,
        read: Callable[[Json], T],
        frames: Sequence[AnyPicture],
        fields: Mapping[str, Any],
        timeout_s: float | None = None,
    ) -> T:
        """One question about pictures in the order of time; a box refers to the first."""
        if not frames:
            raise InputError("no frame was given: a movement is seen in one or more")
        deadline = self._deadline(timeout_s)
        sent = await self._outgoing(frames)
        body = body_of(_inward(fields, sent[0]), None, sent)
        return await self._home(capability).ask(capability, body, lambda told: read(told.body), deadline)

    async def _outgoing(self, pictures: Sequence[AnyPicture]) -> list[Outgoing]:
        if is_quick(pictures, self._max_side):
            return all_outgoing(pictures)
        return await asyncio.to_thread(all_outgoing, pictures, self._max_side)

    def _deadline(self, timeout_s: float | None) -> float | None:
        return None if timeout_s is None else self._surroundings.clock() + timeout_s


def _inward(fields: Mapping[str, Any], sent: Outgoing) -> dict[str, Any]:
    """The fields with their boxes in the picture that is sent, those of `detections` as well.

    Raises:
        BadBox: what is no box.
    """
    boxes = {name: sent.inward(parse_box(fields[name])) for name in BOX_FIELDS if fields.get(name) is not None}
    rows = [_plain(_inward(row, sent)) for row in fields.get("detections") or ()]
    return {**fields, **boxes} | ({"detections": rows} if rows else {})


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as JSON has it, which knows no boxes."""
    return {name: list(value) if isinstance(value, Box) else value for name, value in row.items()}
