"""Image quality: what can be seen in a camera's picture, and whether that is suddenly much less than usual.

Each measure has a number and a word of its own, for they have different causes and different remedies: a lens to clean,
a lamp to add, a camera to turn. There is no score over all. What light a picture was taken in is told beside them and
is no fault: an infrared picture has no colours because it is night.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Self

from hearthwatch.adapter import wire
from hearthwatch.pipeline.cameras import MOST_CAMERAS, Cameras
from hearthwatch.pipeline.daylight import Daylight, Period
from hearthwatch.pipeline.usual_picture import LEAST_PICTURES, UsualPicture
from hearthwatch.vision.image import Image
from hearthwatch.vision.light import Light
from hearthwatch.vision.quality import BLANK, Measures, measure

Focus = Literal["sharp", "blurred"]
Noise = Literal["clean", "noisy"]
Exposure = Literal["normal", "dark", "overexposed"]
View = Literal["clear", "partly blank", "blank"]

# The one table of thresholds. docs/pictures.md says on what it was calibrated, and the share that it tells right.
#: Sharpness below which a picture is blurred.
BLURRED_BELOW = 0.45
#: Noise, in grey levels, from which a picture is noisy.
NOISY_FROM = 5.0
#: Mean brightness below which a picture is dark, whatever the light.
DARK_BELOW = 0.15
#: Share of the pixels clipped to white from which a picture is overexposed.
OVEREXPOSED_FROM = 0.25
#: Largest connected part without texture from which the view is partly blank, and blank.
PARTLY_BLANK_FROM, BLANK_FROM = 0.35, BLANK


@dataclass(frozen=True, slots=True)
class ImageQualityResult:
    """One picture.

    Attributes:
        sharpness: 0..1, 1 minus the blur effect; about 0.65 of a sharp photo, 0.35 of one blurred by 2 px.
        noise: standard deviation in grey levels, 0 and up; None where clipped pixels are everywhere.
        brightness: mean, 0..1.
        black_share: pixels clipped to black, 0..1.
        white_share: pixels clipped to white, 0..1.
        blank_share: largest connected part of the picture without any texture, 0..1.
        light: what it was taken in, no fault by itself; None where an even picture does not tell.
        possible_tampering: much less is seen than this camera usually shows in this light; None where too little is
            known to say.
        tampering_reason: what is missing, or why nothing can be said; empty where nothing is missing.
    """

    sharpness: float
    noise: float | None
    brightness: float
    black_share: float
    white_share: float
    blank_share: float
    light: Light | None
    possible_tampering: bool | None = None
    tampering_reason: str = ""

    @property
    def focus(self) -> Focus | None:
        """None for a blank picture: nothing in it could be sharp."""
        if self.view == "blank":
            return None
        return "blurred" if self.sharpness < BLURRED_BELOW else "sharp"

    @property
    def noise_level(self) -> Noise | None:
        """None where no noise was measured."""
        if self.noise is None:
            return None
        return "noisy" if self.noise >= NOISY_FROM else "clean"

    @property
    def exposure(self) -> Exposure:
        if self.white_share >= OVEREXPOSED_FROM:
            return "overexposed"
        return "dark" if self.brightness < DARK_BELOW else "normal"

    @property
    def view(self) -> View:
        if self.blank_share >= BLANK_FROM:
            return "blank"
        return "partly blank" if self.blank_share >= PARTLY_BLANK_FROM else "clear"

    @property
    def faults(self) -> tuple[str, ...]:
        """The words that say that something is seen worse than it could be; empty for a good picture."""
        words = (self.focus, self.noise_level, self.exposure, self.view)
        return tuple(word for word in words if word not in {None, "sharp", "clean", "normal", "clear"})

    def to_context_string(self) -> str:
        """One line; a second one where the camera may have been tampered with."""
        words = ", ".join(self.faults) or "good"
        line = f"Image quality: {words}" if self.light is None else f"Image quality: {words} ({self.light} picture)"
        return (
            f"{line}\nPossible tampering with the camera: {self.tampering_reason}" if self.possible_tampering else line
        )

    def to_wire(self) -> dict[str, Any]:
        """As plain values: the numbers, and the words that follow from them."""
        return {
            "sharpness": wire.share(self.sharpness),
            "noise": wire.rounded(self.noise, 2),
            "brightness": wire.share(self.brightness),
            "black_share": wire.share(self.black_share),
            "white_share": wire.share(self.white_share),
            "blank_share": wire.share(self.blank_share),
            "focus": self.focus,
            "noise_level": self.noise_level,
            "exposure": self.exposure,
            "view": self.view,
            "faults": list(self.faults),
            "light": self.light,
            "possible_tampering": self.possible_tampering,
            "tampering_reason": self.tampering_reason,
        }

    @classmethod
    def from_wire(cls, told: Mapping[str, Any]) -> Self:
        """The same read again; its words follow from the rounded numbers."""
        return cls(
            sharpness=wire.number(told["sharpness"]),
            noise=told["noise"],
            brightness=wire.number(told["brightness"]),
            black_share=wire.number(told["black_share"]),
            white_share=wire.number(told["white_share"]),
            blank_share=wire.number(told["blank_share"]),
            light=told["light"],
            possible_tampering=told["possible_tampering"],
            tampering_reason=told["tampering_reason"],
        )


class ImageQuality:
    """Measures pictures and remembers what each camera usually shows, by day and by night. Safe for several threads.

    Args:
        most_cameras: remembered; of more, those that were used last.
    """

    def __init__(self, *, most_cameras: int = MOST_CAMERAS) -> None:
        self._cameras = Cameras(_Memory, most_cameras)

    def measure(self, image: Image, camera: str | None, when: datetime | None) -> ImageQualityResult:
        """A picture's quality.

        Args:
            image: a whole picture, of any size.
            camera: whose it is; None is nobody's, and nothing is remembered.
            when: it was taken, in the camera's own time; it helps to tell day from night.
        """
        measures = measure(image)
        if camera is None:
            return _result(measures, None, "no camera is named")
        with self._cameras.memory(camera) as memory:
            usual = memory.usual(measures, when)
            missing = usual.missing_from(measures)
            usual.learn(measures)
        if missing is None:
            return _result(measures, None, f"fewer than {LEAST_PICTURES} earlier pictures of this camera in this light")
        return _result(measures, bool(missing), "; ".join(missing))


class _Memory:
    """Of one camera."""

    def __init__(self) -> None:
        self._daylight = Daylight()
        self._usual: dict[Period, UsualPicture] = {}

    def usual(self, measures: Measures, when: datetime | None) -> UsualPicture:
        period = self._daylight.tell(measures.light, when)
        return self._usual.setdefault(period, UsualPicture())


def _result(measures: Measures, tampering: bool | None, reason: str) -> ImageQualityResult:
    return ImageQualityResult(
        measures.sharpness,
        measures.noise,
        measures.brightness,
        measures.black_share,
        measures.white_share,
        measures.blank_share,
        measures.light,
        tampering,
        reason,
    )
