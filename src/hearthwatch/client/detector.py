"""`DetectorClient`: people, vehicles and animals of a picture, asked for over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hearthwatch.client import capabilities as ask
from hearthwatch.client.client import ServiceClient
from hearthwatch.client.pictures import AnyPicture
from hearthwatch.enrichment import readers as read
from hearthwatch.errors import InputError
from hearthwatch.models.yolo26 import DEFAULT_CLASSES, DEFAULT_CONFIDENCE, Detection


class DetectorClient(ServiceClient):
    """The detector: `await DetectorClient().detect("porch.jpg")`. What it takes and raises is said at
    `EnrichmentClient`.
    """

    async def detect(
        self,
        image: AnyPicture,
        confidence: float = DEFAULT_CONFIDENCE,
        classes: Sequence[str] = DEFAULT_CLASSES,
        *,
        timeout_s: float | None = None,
    ) -> list[Detection]:
        """Objects of one picture, best first.

        Args:
            image: the picture.
            confidence: 0..1; objects below it are left out.
            classes: class names to keep.
            timeout_s: of the whole call.
        """
        if isinstance(classes, str) or not classes:
            raise InputError(f"classes are one name or more in a list; got {classes!r}")
        fields = {"confidence": confidence, "classes": list(classes)}
        return list((await self._ask(ask.DETECT, read.detections, image, fields, timeout_s=timeout_s)).detections)

    async def check_health(self) -> dict[str, Any]:
        """What the service says of itself.

        Raises:
            EnrichmentUnavailableError: it does not answer.
        """
        return await self.service(ask.DETECT.service).tell("/health")
