"""Every gallery, made for a test, and things to remember."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import numpy as np

from hearthwatch.gallery import Embedding, Gallery, GalleryLimits, HouseholdMember, Kind, Sighting
from hearthwatch.vision.embeddings import unit
from hearthwatch.vision.image import Float

T = TypeVar("T")

OSNET, OTHER, CLIP = "osnet/a/256x128", "osnet/b/256x128", "clip/a/square-224"
NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
LIMITS = GalleryLimits()
NUMBERS = 8


class Clock:
    """Seconds of the epoch that pass when a test says so."""

    def __init__(self) -> None:
        self.now = NOON.timestamp()

    def __call__(self) -> float:
        return self.now


def make(
    cls: Any, limits: GalleryLimits = LIMITS, clock: Clock | None = None, thresholds: Mapping[str, float] | None = None
) -> Gallery:
    gallery: Gallery = cls(limits=limits, thresholds=thresholds or {}, clock=clock or Clock())
    return gallery


def run(asked: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asked)


def axis(number: int, numbers: int = NUMBERS) -> Float:
    """Somebody who is like nobody of another number."""
    vector: Float = np.eye(numbers, dtype=np.float32)[number]
    return vector


def like(number: int, cosine: float, other: int = NUMBERS - 1) -> Float:
    """Somebody at a cosine to `axis(number)`, turned towards another."""
    return unit(cosine * axis(number) + np.sqrt(1 - cosine**2) * axis(other))


def sighting(
    looks: Float | None = None,
    *,
    kind: Kind = "person",
    space: str = OSNET,
    after_s: float = 0.0,
    camera: str | None = "gate",
    plate: str | None = None,
) -> Sighting:
    embeddings = () if looks is None else (Embedding(looks, space),)
    return Sighting(kind, NOON + timedelta(seconds=after_s), camera, embeddings, plate)


def car(plate: str | None = None, looks: Float | None = None, **fields: Any) -> Sighting:
    return sighting(looks, kind="vehicle", space=CLIP, plate=plate, **fields)


def member(name: str, looks: Float | None = None, *, plate: str | None = None, space: str = OSNET) -> HouseholdMember:
    kind: Kind = "person" if plate is None and space != CLIP else "vehicle"
    return HouseholdMember(name, kind, () if looks is None else (Embedding(looks, space),), plate)
