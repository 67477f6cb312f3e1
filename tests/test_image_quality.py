"""Each fault of a picture is told by its own word, and a sudden loss by the camera's own earlier pictures."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from hearthwatch.pipeline.image_quality import (
    BLANK_FROM,
    BLURRED_BELOW,
    DARK_BELOW,
    NOISY_FROM,
    OVEREXPOSED_FROM,
    PARTLY_BLANK_FROM,
    ImageQuality,
    ImageQualityResult,
)
from hearthwatch.pipeline.scene_change import LEAST_SIMILARITY
from hearthwatch.pipeline.usual_picture import LEAST_PICTURES
from hearthwatch.vision.decode import decode
from hearthwatch.vision.image import Image, UInt8
from hearthwatch.vision.light import LIGHTS, reduced
from hearthwatch.vision.quality import GRID, largest_share, measure, noise_of, sharpness_of, textured
from views import HEIGHT, WIDTH, blurred, covered, image, infrared, lit, noisy, view

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
VIEWS = 16
#: What goes wrong, the word that must be said of it, and the least share of generated views of which it is said.
FAULTS: dict[str, tuple[Callable[[UInt8], UInt8], str, float]] = {
    "blur of 2 px": (lambda pixels: blurred(pixels, 2.0), "blurred", 0.95),
    "blur of 4 px": (lambda pixels: blurred(pixels, 4.0), "blurred", 1.0),
    "noise of 15": (lambda pixels: noisy(pixels, 15.0), "noisy", 0.95),
    "a sixth of the light": (lambda pixels: lit(pixels, 1 / 6), "dark", 0.95),
    "four times the light": (lambda pixels: lit(pixels, 4), "overexposed", 0.95),
    "half covered": (lambda pixels: covered(pixels, 0.5), "partly blank", 0.95),
    "covered": (covered, "blank", 1.0),
}
GOOD: dict[str, Callable[[UInt8], UInt8]] = {"day": lambda pixels: pixels, "infrared": infrared}


def judged(pixels: UInt8) -> ImageQualityResult:
    return ImageQuality().measure(image(pixels), None, None)


@cache
def seen(seed: int) -> UInt8:
    return view(seed)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_told_by_its_word(name: str) -> None:
    make, word, least = FAULTS[name]
    told = [word in judged(make(seen(seed))).faults for seed in range(VIEWS)]
    assert np.mean(told) >= least


@pytest.mark.parametrize("name", GOOD)
def test_a_good_picture_has_no_fault_by_day_and_by_infrared(name: str) -> None:
    results = [judged(GOOD[name](seen(seed))) for seed in range(VIEWS)]
    assert np.mean([not result.faults for result in results]) >= 0.95
    assert {result.light for result in results} == {name}
    assert all(result.possible_tampering is None for result in results)


def test_noise_is_measured_in_grey_levels() -> None:
    flat = np.full((HEIGHT, WIDTH), 120.0)
    for sigma in (3.0, 8.0, 20.0):
        found = noise_of(np.clip(np.random.default_rng(1).normal(flat, sigma), 0, 255).astype(np.uint8))
        assert found == pytest.approx(sigma, rel=0.1)
    ramp = np.broadcast_to(np.linspace(10, 240, WIDTH), (HEIGHT, WIDTH)).astype(np.uint8)
    assert noise_of(ramp) == pytest.approx(0, abs=0.5)  # an even slope is no noise


def test_noise_of_what_is_clipped_is_not_known() -> None:
    for value in (0, 255):
        result = judged(np.full((HEIGHT, WIDTH, 3), value, np.uint8))
        assert (result.noise, result.noise_level) == (None, None)


def test_sharpness_falls_with_blur_and_not_with_light() -> None:
    grey = np.asarray(seen(1)[:, :, 1])
    steps = [sharpness_of(np.asarray(blurred(seen(1), sigma)[:, :, 1])) for sigma in (1, 2, 3, 5)]
    assert sorted(steps, reverse=True) == steps
    assert sharpness_of(grey // 4) == pytest.approx(sharpness_of(grey), abs=0.08)
    assert sharpness_of(np.full_like(grey, 90)) == 0


def test_nothing_in_a_blank_picture_is_called_sharp_or_blurred() -> None:
    result = judged(covered(seen(2)))
    assert (result.view, result.focus) == ("blank", None)


def test_the_largest_part_hangs_together_by_its_sides() -> None:
    cells = np.zeros(GRID, np.bool_)
    cells[0, :6] = cells[1, 6] = True  # seven, the last one by a corner only
    assert largest_share(cells) == 6 / cells.size
    assert largest_share(~cells | cells) == 1
    assert largest_share(cells & ~cells) == 0
    assert not textured(np.full((50, 50), 7, np.uint8)).any()


@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3))))
@settings(max_examples=60, deadline=None)
def test_any_picture_has_measures_in_their_ranges(pixels: UInt8) -> None:
    found = measure(Image.of(pixels))
    for share in (found.sharpness, found.brightness, found.black_share, found.white_share, found.blank_share):
        assert 0 <= share <= 1
    assert found.noise is None or found.noise >= 0
    assert found.light in {None, *LIGHTS}
    assert found.texture.shape == GRID


def test_a_larger_picture_of_the_same_is_judged_alike() -> None:
    large = view(3, width=1920, height=1080)
    small = reduced(Image.of(large), 640)
    one, other = (
        ImageQuality().measure(Image.of(large), None, None),
        ImageQuality().measure(Image.of(small), None, None),
    )
    assert one == other


def after(pictures: list[UInt8], last: UInt8, when: datetime | None = None) -> ImageQualityResult:
    """What is said of a picture after others of the same camera."""
    quality = ImageQuality()
    for pixels in pictures:
        quality.measure(image(pixels), "porch", when)
    return quality.measure(image(last), "porch", when)


def usual(seed: int, make: Callable[[UInt8], UInt8] = lambda pixels: pixels, count: int = 8) -> list[UInt8]:
    return [noisy(make(seen(seed)), 1.0, number) for number in range(count)]


@pytest.mark.parametrize("seed", range(3))
def test_a_sudden_loss_may_be_tampering(seed: int) -> None:
    pictures = usual(seed)
    for lost in (covered(seen(seed)), covered(seen(seed), 0.7), blurred(seen(seed), 4)):
        result = after(pictures, lost)
        assert result.possible_tampering is True
        assert "usual" in result.tampering_reason
    for same in (seen(seed), lit(seen(seed), 0.6), lit(seen(seed), 1.2), noisy(seen(seed), 6)):
        assert after(pictures, same).possible_tampering is False


@pytest.mark.parametrize("seed", range(2))
def test_night_is_compared_with_night(seed: int) -> None:
    nights = usual(seed, infrared)
    assert after(nights, infrared(seen(seed))).possible_tampering is False
    assert after(nights, lit(seen(seed), 0.03)).possible_tampering is True
    # The first night after days says nothing, however dark it is.
    assert after(usual(seed), infrared(seen(seed))).possible_tampering is None
    assert after(usual(seed), lit(seen(seed), 0.03)).possible_tampering is None


def test_a_lens_covered_at_noon_is_no_night() -> None:
    quality = ImageQuality()
    for day in range(4):
        for hour in range(9, 17):
            quality.measure(image(seen(1)), "porch", NOON.replace(hour=hour) + timedelta(days=day))
    dark = image(lit(seen(1), 0.02))
    assert quality.measure(dark, "porch", NOON + timedelta(days=5)).possible_tampering is True
    assert quality.measure(dark, "porch", NOON.replace(hour=20)).possible_tampering is None


def test_a_single_picture_without_history_is_never_tampering() -> None:
    for pixels in (lit(seen(1), 0.02), covered(seen(1)), np.zeros((HEIGHT, WIDTH, 3), np.uint8)):
        for earlier in range(LEAST_PICTURES):
            result = after(usual(1, count=earlier), pixels)
            assert result.possible_tampering is None
            assert result.tampering_reason


def test_what_stays_is_usual_in_the_end() -> None:
    quality = ImageQuality()
    for pixels in usual(1, count=20):
        quality.measure(image(pixels), "porch", None)
    told = [quality.measure(image(blurred(seen(1), 4)), "porch", None).possible_tampering for _ in range(40)]
    assert told[0] is True
    assert told[-1] is False
    assert told == sorted(told, key=bool, reverse=True)


def test_cameras_do_not_mix_and_nobodys_picture_is_not_remembered() -> None:
    quality = ImageQuality(most_cameras=2)
    for pixels in usual(1):
        quality.measure(image(pixels), "porch", None)
        quality.measure(image(pixels), None, None)
    assert quality.measure(image(covered(seen(1))), "yard", None).possible_tampering is None
    assert quality.measure(image(covered(seen(1))), None, None).tampering_reason == "no camera is named"
    assert quality.measure(image(covered(seen(1))), "porch", None).possible_tampering is True
    quality.measure(image(seen(1)), "drive", None)  # the third: the yard is forgotten, not the porch
    assert quality.measure(image(covered(seen(1))), "porch", None).possible_tampering is True


SHARES = st.floats(0, 1)


@given(
    st.builds(
        ImageQualityResult,
        *(SHARES, st.none() | st.floats(0, 60), SHARES, SHARES, SHARES, SHARES, st.sampled_from([None, *LIGHTS])),
        st.sampled_from([None, True, False]),
        st.text(max_size=20),
    )
)
def test_it_tells_the_same_after_the_wire(result: ImageQualityResult) -> None:
    told: Any = orjson.loads(orjson.dumps(result.to_wire()))
    read = ImageQualityResult.from_wire(told)
    assert {**orjson.loads(orjson.dumps(read.to_wire())), **words(told)} == told
    assert ImageQualityResult.from_wire(read.to_wire()) == read


def words(told: dict[str, Any]) -> dict[str, Any]:
    """Of numbers that were at a limit, and are beyond it when rounded."""
    return {name: told[name] for name in ("focus", "noise_level", "exposure", "view", "faults")}


def test_the_context_is_a_line_and_a_second_one_for_tampering() -> None:
    assert judged(seen(1)).to_context_string() == "Image quality: good (day picture)"
    assert judged(infrared(seen(1))).to_context_string() == "Image quality: good (infrared picture)"
    first, second = after(usual(1), covered(seen(1))).to_context_string().splitlines()
    assert first == "Image quality: blank"
    assert second.startswith("Possible tampering with the camera: ")


def test_the_page_has_the_thresholds() -> None:
    page = (Path(__file__).parents[1] / "docs" / "pictures.md").read_text(encoding="utf-8")
    for phrase in (
        f"`blurred` below {BLURRED_BELOW}",
        f"`noisy` from {NOISY_FROM:g}",
        f"`dark` below {DARK_BELOW}",
        f"`overexposed` from {OVEREXPOSED_FROM}",
        f"`partly blank` from {PARTLY_BLANK_FROM}, `blank` from {BLANK_FROM}",
        f"| below {LEAST_SIMILARITY:.2f} |",
    ):
        assert phrase in page


@pytest.mark.weights
def test_real_pictures_have_no_fault_and_made_ones_have_theirs(assets: Path) -> None:
    folder = assets / "data"
    files = sorted([*folder.glob("photos/*.jpg"), *folder.glob("frames/*.jpg")])[::2]
    pictures = [reduced(decode(file.read_bytes()), 640) for file in files]
    for make in GOOD.values():
        assert np.mean([not judged(make(pixels)).faults for pixels in pictures]) >= 0.93
    for make, word, _ in FAULTS.values():
        assert np.mean([word in judged(make(pixels)).faults for pixels in pictures]) >= 0.80
