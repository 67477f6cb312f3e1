"""What leaves for a service: pictures as they came, pixels encoded once, boxes in the pixels of what is sent."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PILImage

from fault_server import Received, answer, fault_server
from hearthwatch.client import ClientConfig, ClipClient, DetectorClient, EnrichmentClient
from hearthwatch.client.bodies import QUERY_CHARACTERS, body_of
from hearthwatch.client.pictures import LOSSLESS_PIXELS, QUICK_BYTES, Outgoing, is_quick, outgoing
from hearthwatch.errors import ImageError, ImageTooLarge, InputError
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.calibration import DepthCalibration
from hearthwatch.vision.decode import decode
from hearthwatch.vision.image import Image
from hearthwatch.vision.picture import Picture
from results import BOXES
from served import BASELINE, picture

PET_ANSWER = {"pet_type": "cat", "breed": "unknown", "confidence": 0.9, "is_household_pet": True}
SENT = Outgoing(b"jpeg", "image/jpeg")


def noise(width: int, height: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(3).integers(0, 255, (height, width, 3), np.uint8)


@pytest.mark.parametrize(
    ("kind", "media_type"),
    [(".jpg", "image/jpeg"), (".png", "image/png"), (".webp", "image/webp"), (".bmp", "image/bmp")],
)
def test_encoded_pictures_go_out_byte_by_byte(kind: str, media_type: str, tmp_path: Path) -> None:
    data = picture(1920, 1080, kind=kind)
    path = tmp_path / "picture"
    path.write_bytes(data)
    forms: list[Any] = [data, bytearray(data), path, str(path), Picture(data)]
    for form in forms:
        assert outgoing(form) == Outgoing(data, media_type)


def test_a_picture_that_is_sent_as_it_came_is_not_decoded() -> None:
    held = Picture(picture(1920, 1080, kind=".jpg"))
    outgoing(held)
    outgoing(held, max_side=1920)
    assert held.decodes == 0


def test_only_what_goes_out_as_it_came_and_is_not_large_needs_no_thread(tmp_path: Path) -> None:
    data = picture(640, 480, kind=".jpg")
    assert is_quick([data, Picture(data)])
    slow: list[Any] = [
        tmp_path,
        noise(8, 8),
        Picture.of(noise(8, 8)),
        PILImage.new("RGB", (8, 8)),
        b"x" * (QUICK_BYTES + 1),
    ]
    for form in slow:
        assert not is_quick([data, form])
    assert not is_quick([data], max_side=100)
    assert not is_quick([b"x" * (QUICK_BYTES // 2)] * 3)


def test_pixels_of_a_crop_lose_nothing() -> None:
    pixels = noise(256, LOSSLESS_PIXELS // 256)
    for form in (pixels, PILImage.fromarray(pixels), Image.of(pixels)):
        sent = outgoing(form)
        assert sent.media_type == "image/png"
        np.testing.assert_array_equal(decode(sent.data).pixels, pixels)


def test_pixels_of_a_frame_are_a_jpeg_of_high_quality() -> None:
    pixels = decode(picture(640, 480)).pixels
    sent = outgoing(pixels)
    assert (sent.media_type, sent.scale) == ("image/jpeg", (1.0, 1.0))
    assert np.abs(decode(sent.data).pixels.astype(int) - pixels).mean() < 1.0
    assert len(sent.data) < pixels.nbytes / 20


def test_a_picture_is_made_smaller_only_where_somebody_asks_for_it() -> None:
    data = picture(1000, 400, kind=".jpg")
    small = outgoing(data, max_side=250)
    header = Picture(small.data).size
    assert header == (250, 100)
    assert small.scale == (4.0, 4.0)
    assert outgoing(data, max_side=1000).data == data


def test_a_photo_that_lies_on_its_side_is_made_smaller_upright() -> None:
    turned, exif = io.BytesIO(), PILImage.Exif()
    exif[0x0112] = 6
    PILImage.fromarray(noise(400, 200)).save(turned, "JPEG", exif=exif)
    small = outgoing(turned.getvalue(), max_side=100)
    assert Picture(small.data).size == (50, 100)
    assert small.scale == (4.0, 4.0)


@given(BOXES, st.floats(0.5, 20), st.floats(0.5, 20))
def test_a_box_comes_back_to_where_it_was(box: Box, x: float, y: float) -> None:
    sent = Outgoing(b"", "image/png", (x, y))
    inside = sent.inward(box)
    told = {
        "bbox": inside.as_xywh(),
        "threats": [{"bbox": list(inside)}],
        "nobody": {"bbox": None, "x": None, "y": 1.0},
    }
    back = sent.outward(told)
    assert back["threats"][0]["bbox"] == pytest.approx(list(box), abs=1e-6)
    assert back["bbox"] == pytest.approx(box.as_xywh(), abs=1e-6)
    assert back["nobody"] == {"bbox": None, "x": None, "y": pytest.approx(y)}


def test_what_is_no_place_stays_as_it_is() -> None:
    told = {"confidence": 0.5, "embedding": [1.0, 2.0], "width": 7, "x": 3, "all_scores": {"car": 0.5}}
    assert Outgoing(b"", "image/png", (2.0, 3.0)).outward(told) == told


@pytest.mark.parametrize(
    ("form", "error"),
    [(b"", ImageError), (b"GIF89a", ImageError), ("/no/such/file.jpg", ImageError), (7, ImageError),
     (np.zeros((4, 4), np.float32), ImageError), (b"\xff\xd8\xff" + b"0" * (11 << 20), ImageTooLarge)],
)  # fmt: skip
def test_what_is_no_picture_is_not_sent(form: Any, error: type[Exception]) -> None:
    async def run() -> None:
        async with fault_server(answer(PET_ANSWER)) as server, EnrichmentClient(config_of(server.url)) as client:
            with pytest.raises(error):
                await client.classify_pet(form)
            assert server.received == []

    asyncio.run(run())


def test_a_client_that_is_to_send_no_pixels_is_refused() -> None:
    with pytest.raises(ValueError, match="max_side is a number of pixels from 1; got 0"):
        EnrichmentClient(config_of("http://porch"), max_side=0)


def config_of(url: str) -> ClientConfig:
    return ClientConfig(dict.fromkeys(("enrichment", "light", "clip", "yolo26"), url))


class TestBodies:
    def test_scalars_and_boxes_stand_beside_a_raw_body(self) -> None:
        body = body_of({"bbox": Box(1, 2.5, 3, 4), "confidence": 0.5, "use_ensemble": False, "text": None}, SENT)
        assert body["content"] == b"jpeg"
        assert body["headers"] == {"Content-Type": "image/jpeg"}
        assert body["params"] == {"bbox": "1.0,2.5,3.0,4.0", "confidence": "0.5", "use_ensemble": "false"}

    def test_lists_of_words_and_boxes_are_repeated_there(self) -> None:
        body = body_of({"boxes": [Box(1, 2, 3, 4), Box(5, 6, 7, 8)], "classes": ["a, b"]}, SENT)
        assert body["content"] == b"jpeg"
        assert body["params"] == {"boxes": ["1.0,2.0,3.0,4.0", "5.0,6.0,7.0,8.0"], "classes": ["a, b"]}

    @pytest.mark.parametrize(
        ("name", "value", "texts"),
        [
            ("labels", ["a, b", "c" * QUERY_CHARACTERS], ["a, b", "c" * QUERY_CHARACTERS]),
            ("boxes", [Box(1, 2, 3, 4)] * 200, ["1.0,2.0,3.0,4.0"] * 200),
            ("options", {"depth_map": True}, ['{"depth_map":true}']),
            ("baseline_embedding", [0.5, 1.0], ["[0.5,1.0]"]),
            ("detections", [{"bbox": [1, 2, 3, 4]}], ['[{"bbox":[1,2,3,4]}]']),
            ("text", "long " * QUERY_CHARACTERS, ["long " * QUERY_CHARACTERS]),
        ],
    )
    def test_anything_else_asks_for_a_form(self, name: str, value: Any, texts: list[str]) -> None:
        body = body_of({name: value, "bbox": Box(1, 2, 3, 4)}, SENT)
        assert body["files"] == [("file", ("file", b"jpeg", "image/jpeg"))]
        assert body["data"] == {name: texts, "bbox": ["1.0,2.0,3.0,4.0"]}

    def test_frames_come_in_their_order(self) -> None:
        body = body_of({}, SENT, [Outgoing(b"a", "image/png"), Outgoing(b"b", "image/png")])
        assert [(name, file[1]) for name, file in body["files"]] == [
            ("file", b"jpeg"),
            ("frames", b"a"),
            ("frames", b"b"),
        ]

    @given(BOXES)
    @settings(max_examples=30)
    def test_no_digit_of_a_box_is_lost(self, box: Box) -> None:
        text = body_of({"bbox": box}, SENT)["params"]["bbox"]
        assert Box(*map(float, text.split(","))) == box


def sent_by(question: Any, told: Any, kind: type = EnrichmentClient, **options: Any) -> Received:
    """What a client sends of a question."""

    async def run() -> Received:
        async with fault_server(answer(told)) as server, kind(config_of(server.url), **options) as client:
            await question(client)
            return server.received[0]

    return asyncio.run(run())


def test_a_jpeg_is_the_body_itself() -> None:
    data = picture(800, 600, kind=".jpg")
    request = sent_by(lambda client: client.classify_pet(data, [1, 2, 30, 40]), PET_ANSWER)
    assert (request.path, request.body) == ("/pet-classify", data)
    assert request.headers["content-type"] == "image/jpeg"
    assert request.query == {"bbox": ["1.0,2.0,30.0,40.0"]}


def test_boxes_go_out_in_the_pixels_of_what_is_sent() -> None:
    rows = [
        {
            "detection_type": "person",
            "bbox": [100, 40, 500, 400],
            "face_bbox": {"x": 200, "y": 80, "width": 40, "height": 40},
        }
    ]
    answered = {"results": [{"status": "skipped", "models_loaded": [], "skipped": {}, "errors": {}}]}
    data = picture(1000, 400, kind=".jpg")
    request = sent_by(lambda client: client.enrich_batch(data, rows), answered, max_side=500)
    form = request.body.decode("latin-1")
    told = orjson.loads(form.split('name="detections"')[1].split("\r\n\r\n")[1].split("\r\n")[0])
    assert told == [{"detection_type": "person", "bbox": [50, 20, 250, 200], "face_bbox": [100, 40, 120, 60]}]


def test_a_calibration_travels_whole() -> None:
    made = DepthCalibration(slope=0.5, offset=0.1, inverse=True, nearest_m=1.0, farthest_m=20.0, space="depth")
    told = {"estimated_distance_m": 3.0, "relative_depth": 0.5, "proximity_label": "close", "calibrated": True}
    request = sent_by(lambda client: client.estimate_object_distance(picture(), calibration=made), told)
    assert orjson.dumps(made.to_plain()) in request.body


@pytest.mark.parametrize(
    "question",
    [
        lambda clip, _detector: clip.classify(picture(), []),
        lambda clip, _detector: clip.classify(picture(), "a person"),
        lambda clip, _detector: clip.batch_similarity(picture(), []),
        lambda clip, _detector: clip.anomaly_score(picture(), [[1.0, 2.0]]),
        lambda clip, _detector: clip.anomaly_score(picture(), [float("nan"), *BASELINE[1:]]),
        lambda _clip, detector: detector.detect(picture(), classes=[]),
        lambda _clip, detector: detector.detect(picture(), classes="person"),
    ],
)
def test_what_asks_for_nothing_is_not_sent(question: Any) -> None:
    async def run() -> None:
        config = config_of("http://127.0.0.1:1")
        async with ClipClient(config) as clip, DetectorClient(config) as detector:
            with pytest.raises(InputError):
                await question(clip, detector)

    asyncio.run(run())
