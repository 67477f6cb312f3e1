"""Who and what has been seen before, and who lives here."""

from hearthwatch.gallery.base import (
    Embedding,
    Entity,
    Gallery,
    HouseholdMember,
    Sighting,
    plate_text,
)
from hearthwatch.gallery.limits import GalleryLimits
from hearthwatch.gallery.matches import EntityMatch, HouseholdMatch, Kind
from hearthwatch.gallery.memory import MemoryGallery
from hearthwatch.gallery.spaces import SPACES, How, Space, space_of

#: Every one is tested by the same tests. They are made with `limits`, `thresholds` and `clock`.
GALLERIES = (MemoryGallery,)

__all__ = [
    "GALLERIES",
    "SPACES",
    "Embedding",
    "Entity",
    "EntityMatch",
    "Gallery",
    "GalleryLimits",
    "HouseholdMatch",
    "HouseholdMember",
    "How",
    "Kind",
    "MemoryGallery",
    "Sighting",
    "Space",
    "plate_text",
    "space_of",
]
