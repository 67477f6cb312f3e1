"""Golden results of real weights on real, labelled pictures.

A mistake in preprocessing or decoding moves these numbers: colours in the wrong order, a letterbox off by a few pixels,
missing normalisation, transposed boxes. `test_planted_mistakes_are_caught` plants such mistakes and shows that they do.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import orjson
import pytest
from PIL import Image as PILImage

from hearthwatch.adapter.loaded import LoadedModel
from hearthwatch.adapter.loading import load
from hearthwatch.adapter.options import LoadOptions
from hearthwatch.models import get_model
from hearthwatch.models.depth_estimator import DepthAdapter
from hearthwatch.models.license_plate_detector import LicensePlateDetector
from hearthwatch.models.vehicle_classifier import VEHICLE_MARGIN
from hearthwatch.vision.boxes import Box, iou
from hearthwatch.vision.crops import crop
from hearthwatch.vision.decode import decode, to_image
from hearthwatch.vision.image import Float, Image
from hearthwatch.vision.keypoints import oks
from hearthwatch.vision.letterbox import Letterbox
from hearthwatch.vision.paint import paint_of

pytestmark = pytest.mark.weights

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="module")
def options(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> LoadOptions:
    return LoadOptions(models_dir=assets / "weights", cache_dir=tmp_path_factory.mktemp("cache"), precision="f32")


@pytest.fixture(scope="module")
def persons(assets: Path) -> list[tuple[Path, Float, Float, float]]:
    """(photo, box xywh, key points (17, 3), area) of every labelled person."""
    labels = orjson.loads((assets / "data/pose/test_coco.json").read_bytes())
    names = {image["id"]: Path(image["file_name"]).name for image in labels["images"]}
    return [
        (
            assets / "data/pose" / names[person["image_id"]],
            np.array(person["bbox"], np.float32),
            np.array(person["keypoints"], np.float32).reshape(17, 3),
            float(person["area"]),
        )
        for person in labels["annotations"]
        if person["num_keypoints"] > 0 and (assets / "data/pose" / names[person["image_id"]]).exists()
    ]


def load_model(name: str, options: LoadOptions, **spec: Any) -> LoadedModel:
    """The model as it is, or with fields of its input spec replaced: a planted mistake."""
    loaded = load(get_model(name), options)
    if spec:
        adapter = loaded.looking
        adapter.input = replace(adapter.input, **spec)
    return loaded


def mean_oks(pose: LoadedModel, persons: list[tuple[Path, Float, Float, float]]) -> float:
    values = []
    for photo, _, truth, area in persons:
        found = pose.predict([to_image(photo)])[0][0].persons
        values.append(max((oks(person.as_array(), truth, area) for person in found), default=0.0))
    return float(np.mean(values))


def found_persons(detector: LoadedModel, persons: list[tuple[Path, Float, Float, float]]) -> int:
    count = 0
    for photo, (x, y, width, height), _, _ in persons:
        found = detector.predict([to_image(photo)])[0][0].detections
        boxes = np.array([d.box for d in found if d.class_name == "person" and d.confidence >= 0.5], np.float32)
        truth = np.array([[x, y, x + width, y + height]], np.float32)
        count += bool(iou(truth, boxes.reshape(-1, 4)).max(initial=0) >= 0.5)
    return count


def test_pose_reaches_the_oks_that_was_measured(options: LoadOptions, persons: Any) -> None:
    assert len(persons) == 12
    assert mean_oks(load_model("pose_estimator", options), persons) >= 0.82  # 0.847 was measured


def test_the_detector_finds_all_labelled_persons(options: LoadOptions, persons: Any) -> None:
    assert found_persons(load_model("yolo26", options), persons) == 12


def test_reduced_decoding_moves_no_person(options: LoadOptions, assets: Path) -> None:
    """Decoded at half size, every person of the full picture is found at the same place."""
    detector = load_model("yolo26", options)
    for photo in sorted((assets / "data/frames").glob("*.jpg")):
        data = photo.read_bytes()
        reduced = decode(data, at_least=640)
        assert reduced.pixels.shape[1] < 1920
        sure, again = (boxes_of(detector, image, limit) for image, limit in ((decode(data), 0.6), (reduced, 0.55)))
        assert len(sure) > 0
        assert iou(sure, again).max(axis=1).min() >= 0.9, photo.name  # 0.95 was measured


def boxes_of(detector: LoadedModel, image: Image, confidence: float) -> Float:
    found = detector.predict([image])[0][0].detections
    boxes = [d.box for d in found if d.class_name == "person" and d.confidence >= confidence]
    return np.array(boxes, np.float32).reshape(-1, 4)


def plate_text(path: Path) -> str:
    """`ru_2_a002ha98_000.jpg` carries the text a002ha98."""
    return path.stem.split("_")[-2]


def folded(text: str) -> str:
    """O and 0, I and 1, B and 8 are one sign on many plates."""
    return re.sub(r"[^A-Z0-9]", "", text.upper()).translate(str.maketrans("OIB", "018"))


def test_at_least_four_of_five_plates_are_read(options: LoadOptions, assets: Path) -> None:
    detector, reader = load_model("license_plate_detector", options), load_model("plate_ocr", options)
    right = 0
    for photo in sorted((assets / "data/plates").glob("*.jpg")):
        image = to_image(photo)
        plates = [d.box for d in detector.predict([image])[0][0].detections[:1]]
        answers = reader.for_boxes(image, plates)[0] if plates else []
        right += any(answer and folded(answer.text) == folded(plate_text(photo)) for answer in answers)
    assert right >= 4


def test_plates_are_found_by_the_documented_class(assets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEARTHWATCH_MODELS_DIR", str(assets / "weights"))
    detector = LicensePlateDetector().load_model()
    try:
        assert all(detector.detect(photo) for photo in (assets / "data/plates").glob("*.jpg"))
    finally:
        detector.unload()


def labelled_weapons(label: Path, image: Image) -> Float:
    """YOLO labels (class, centre, size as shares of the picture) to (N, 4) xyxy picture pixels."""
    rows = np.array([line.split()[1:5] for line in label.read_text().splitlines() if line.strip()], np.float32)
    centers, halves = rows.reshape(-1, 4)[:, :2], rows.reshape(-1, 4)[:, 2:] / 2
    size = np.array([image.width, image.height] * 2, np.float32)
    boxes: Float = np.concatenate([centers - halves, centers + halves], axis=1) * size
    return boxes


def matched(found: Float, truth: Float) -> int:
    """How many of the found boxes, best first, have a labelled one of their own at IoU 0.45."""
    overlaps, hits = iou(found, truth), 0
    for row in range(len(found)):
        if overlaps.shape[1] and overlaps[row].max() >= 0.45:
            overlaps[:, overlaps[row].argmax()] = 0
            hits += 1
    return hits


def test_weapons_are_found_as_was_measured(options: LoadOptions, assets: Path) -> None:
    detector, hits, misses, false = load_model("threat_detector", options), 0, 0, 0
    for photo in sorted((assets / "data/weapons/images").iterdir()):
        image = to_image(photo)
        truth = labelled_weapons(assets / "data/weapons/labels" / f"{photo.stem}.txt", image)
        threats = detector.predict([image])[0][0].at_least(0.25).threats
        found = np.array([threat.box for threat in threats], np.float32).reshape(-1, 4)
        hits += (right := matched(found, truth))
        misses, false = misses + len(truth) - right, false + len(found) - right
    # 58, 28 and 10 were measured; suppression at an IoU of 0.7 leaves 2 more false ones than the weights' page has.
    assert hits >= 56
    assert misses <= 30
    assert false <= 12


def test_ordinary_pictures_hardly_raise_an_alarm(options: LoadOptions, assets: Path) -> None:
    detector = load_model("threat_detector", options)
    photos = [
        photo
        for folder in ("pose", "cats_dogs/cats", "cats_dogs/dogs", "plates", "vehicles", "persons", "faces", "photos")
        for photo in sorted((assets / "data" / folder).glob("*.jpg"))
    ]
    answers = [detector.predict([to_image(photo)])[0][0] for photo in photos]
    assert len(answers) > 100
    assert sum(answer.has_threat for answer in answers) <= 6  # 4 of 156 with the frames were measured
    assert sum(answer.at_least(0.8).has_threat for answer in answers) == 0


def test_cats_and_dogs_are_told_apart(options: LoadOptions, assets: Path) -> None:
    pets, right, called_pets = load_model("pet_classifier", options), 0, 0
    for animal in ("cat", "dog"):
        for photo in sorted((assets / f"data/cats_dogs/{animal}s").glob("*.jpg")):
            found = pets.predict([to_image(photo)])[0][0]
            right += found.pet_type == animal
            called_pets += found.is_household_pet
    # 94 and 98 of 100 were measured; without taking the prior out, 87.
    assert right >= 90
    assert called_pets >= 95


def test_what_is_no_animal_is_called_no_pet(options: LoadOptions, assets: Path) -> None:
    pets = load_model("pet_classifier", options)
    photos = [
        p for folder in ("persons", "vehicles", "faces", "pose") for p in (assets / "data" / folder).glob("*.jpg")
    ]
    assert len(photos) > 15
    assert not any(pets.predict([to_image(photo)])[0][0].is_household_pet for photo in photos)


def test_several_animals_of_one_picture_are_classified_in_one_call(options: LoadOptions, assets: Path) -> None:
    pets = load_model("pet_classifier", options)
    cat, dog = (to_image(next(iter(sorted((assets / f"data/cats_dogs/{a}s").glob("*.jpg"))))) for a in ("cat", "dog"))
    together = pets.predict([cat, dog, cat])[0]
    assert together == [pets.predict([one])[0][0] for one in (cat, dog, cat)]


#: Cars on `vehicles/vehicles_00.jpg` whose colour nobody would doubt.
PAINTED = {
    (481, 163, 572, 245): "blue",
    (198, 54, 253, 102): "blue",
    (274, 59, 322, 101): "blue",
    (113, 96, 194, 169): "red",
    (473, 79, 536, 132): "red",
    (156, 87, 206, 128): "red",
    (1, 97, 45, 156): "black",
    (120, 58, 175, 100): "white",
}


def right_colors(vehicles: LoadedModel, assets: Path) -> int:
    image = to_image(assets / "data/vehicles/vehicles_00.jpg")
    answers = vehicles.for_boxes(image, [Box(*box) for box in PAINTED])[0]
    return sum(answer.color == color for answer, color in zip(answers, PAINTED.values(), strict=True))


def test_vehicles_have_their_kinds_and_their_colours(options: LoadOptions, assets: Path) -> None:
    vehicles = load_model("vehicle_classifier", options)
    image = to_image(assets / "data/vehicles/vehicles_00.jpg")
    seen = load_model("yolo26", options).predict([image])[0][0].detections
    cars = [d.box for d in seen if d.class_name == "car" and d.confidence >= 0.45 and d.box.height >= 40]
    assert len(cars) >= 15
    kinds = [answer.vehicle_type for answer in vehicles.for_boxes(image, cars)[0]]
    assert kinds.count("car") >= 0.7 * len(cars)  # 15 of 19 was measured, with a network of a barrier's camera
    assert right_colors(vehicles, assets) >= len(PAINTED) - 1


def test_colours_in_the_wrong_order_are_caught(options: LoadOptions, assets: Path) -> None:
    assert right_colors(load_model("vehicle_classifier", options, color="RGB"), assets) <= 4


def test_the_rule_tells_the_colours_that_the_network_tells(assets: Path) -> None:
    image = to_image(assets / "data/vehicles/vehicles_00.jpg")
    told = [paint_of(crop(image, Box(*box), margin=VEHICLE_MARGIN).pixels).color for box in PAINTED]
    assert told == list(PAINTED.values())


def test_faces_of_adults_have_the_age_of_adults(options: LoadOptions, assets: Path) -> None:
    """Nine women of about 20 to 35; the network says 20 to 36, and takes three for men."""
    faces, people = load_model("face_detector", options), load_model("demographics", options)
    found = []
    for photo in sorted((assets / "data/faces").glob("*.jpg")):
        image = to_image(photo)
        boxes = [face.bbox for face in faces.predict([image])[0][0].faces if face.bbox.width > 150]
        together = people.for_boxes(image, boxes)[0]
        assert together == [people.for_boxes(image, [box])[0][0] for box in boxes]
        found += together
    assert len(found) == 9
    assert all(15 <= int(face.age_range) <= 45 for face in found)
    assert {face.age_group for face in found} <= {"teenager", "young_adult", "adult"}
    assert all(face.age_confidence is None and face.confidence == face.gender_confidence >= 0.5 for face in found)
    assert sum(face.gender == "female" for face in found) >= 5


def nearer_below(depth: LoadedModel, assets: Path) -> int:
    """Of 8 frames of cameras that look down on a square: in how many the ground in front is nearer than the back."""
    count = 0
    for photo in sorted((assets / "data/frames").glob("*.jpg")):
        found = depth.predict([to_image(photo)])[0][0]
        third = len(found.depth) // 3
        assert (found.min_depth, found.max_depth) == (0.0, 1.0)
        count += bool(found.depth[-third:].mean() + 0.1 < found.depth[:third].mean())
    return count


def test_the_ground_in_front_is_nearer_than_the_back(options: LoadOptions, assets: Path) -> None:
    assert nearer_below(load_model("depth_estimator", options), assets) == 8


def test_depth_the_wrong_way_round_is_caught(options: LoadOptions, assets: Path) -> None:
    wrong = load_model("depth_estimator", options)
    assert isinstance(wrong.adapter, DepthAdapter)
    wrong.adapter.near_is_large = True
    assert nearer_below(wrong, assets) == 0


def test_who_stands_lower_in_the_picture_is_nearer(options: LoadOptions, assets: Path) -> None:
    """On one photograph of a street with nine people; 0.75 to 0.9 by every method was measured."""
    image = to_image(assets / "data/persons/persons_002.jpg")
    boxes = [Box(*box) for box in boxes_of(load_model("yolo26", options), image, 0.5).tolist()]
    answers = load_model("depth_estimator", options).for_boxes(image, boxes)[0]
    ranks = [np.argsort(np.argsort(values)) for values in (
        [-box.y2 for box in boxes], [answer.distance("median").relative_depth for answer in answers]
    )]  # fmt: skip
    assert len(boxes) >= 8
    assert float(np.corrcoef(ranks[0], ranks[1])[0, 1]) >= 0.6


def similarities(reid: LoadedModel, assets: Path) -> tuple[Float, Float]:
    """Cosines of all pairs of one person, and of all pairs of two."""
    photos = sorted((assets / "data/reid").glob("*.jpg"))
    vectors = np.stack([reid.predict([to_image(photo)])[0][0].embedding for photo in photos])
    people = np.array([photo.name.split("_")[0] for photo in photos])
    pairs = np.triu_indices(len(photos), 1)
    same = (people[:, None] == people[None])[pairs]
    cosines = (vectors @ vectors.T)[pairs]
    return cosines[same], cosines[~same]


def test_the_same_person_is_nearer_than_another(options: LoadOptions, assets: Path) -> None:
    same, others = similarities(load_model("person_reid", options), assets)
    # 0.82 and 0.66 were measured
    assert np.percentile(same, 5) - np.percentile(others, 99) >= 0.12


def reference_embedding(assets: Path, pixels: Any) -> Float:
    """torchreid's documented evaluation transform, written with Pillow and NumPy alone, in ONNX Runtime."""
    from hearthwatch.runtimes.quiet import import_onnxruntime

    squashed = PILImage.fromarray(pixels).resize((128, 256), PILImage.Resampling.BILINEAR)
    values = np.asarray(squashed, np.float32) / 255
    values = (values - np.array([0.485, 0.456, 0.406], np.float32)) / np.array([0.229, 0.224, 0.225], np.float32)
    path = str(assets / "weights/osnet_x0_25_msmt17.onnx")
    session = import_onnxruntime().InferenceSession(path, providers=["CPUExecutionProvider"])
    raw: Float = session.run(None, {"input": values.transpose(2, 0, 1)[None]})[0][0]
    return raw / np.linalg.norm(raw)


def test_embeddings_equal_the_golden_vector_and_the_reference(
    options: LoadOptions, assets: Path, astronaut: Image
) -> None:
    """The golden vector is `reference_embedding` of the bundled picture's person, stored once."""
    person = crop(astronaut, Box(60, 0, 420, 512))
    ours = load_model("person_reid", options).predict([person])[0][0].embedding
    golden = np.array(orjson.loads((GOLDEN / "osnet_astronaut.json").read_bytes())["embedding"], np.float32)
    assert float(ours @ golden) >= 0.9999
    assert float(ours @ reference_embedding(assets, person.pixels)) >= 0.9999


def test_faces_equal_those_of_opencvs_own_decoder(options: LoadOptions, assets: Path) -> None:
    """OpenCV's FaceDetectorYN on the same letterboxed pixels is the reference of the decoding."""
    faces = load_model("face_detector", options)
    path = str(assets / "weights/face_detection_yunet_2023mar.onnx")
    reference = cv2.FaceDetectorYN.create(path, "", (640, 640), 0.7, 0.3)
    for photo in sorted((assets / "data/faces").glob("*.jpg")):
        image = to_image(photo)
        letterbox = Letterbox.fit(image.region, (640, 640))
        rows = reference.detect(np.ascontiguousarray(letterbox.apply(image)[..., ::-1]))[1]
        corners = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1).astype(np.float32)
        ours = faces.predict([image])[0][0].faces
        assert len(ours) == len(rows) == 3
        overlaps = iou(np.array([f.bbox for f in ours], np.float32), letterbox.boxes_to_picture(corners))
        assert overlaps.max(axis=1).min() >= 0.98
        assert sorted(f.confidence for f in ours) == pytest.approx(sorted(rows[:, 14].tolist()), abs=0.01)
        nearest = letterbox.to_picture(np.asarray(rows[overlaps.argmax(axis=1), 4:14], np.float32).reshape(-1, 5, 2))
        assert np.abs(np.array([f.landmarks for f in ours]) - nearest).max() < 3.0


@pytest.mark.parametrize(
    ("mistake", "name"),
    [
        ({"color": "BGR"}, "person_reid"),
        ({"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}, "person_reid"),
        ({"scale": 1.0}, "person_reid"),
        ({"scale": 1.0}, "pose_estimator"),
        ({"scale": 1.0}, "yolo26"),
        ({"resize": "squash"}, "pose_estimator"),
    ],
    ids=str,
)
def test_planted_mistakes_are_caught(
    mistake: dict[str, Any], name: str, options: LoadOptions, assets: Path, persons: Any, astronaut: Image
) -> None:
    wrong = load_model(name, options, **mistake)
    if name == "person_reid":
        golden = np.array(orjson.loads((GOLDEN / "osnet_astronaut.json").read_bytes())["embedding"], np.float32)
        embedding = wrong.predict([crop(astronaut, Box(60, 0, 420, 512))])[0][0].embedding
        assert float(embedding @ golden) < 0.99
    elif name == "pose_estimator":
        assert mean_oks(wrong, persons) < 0.82
    else:
        assert found_persons(wrong, persons) < 12


@pytest.mark.parametrize("shift", [(4, 0), (0, 4)], ids=str)
def test_a_letterbox_off_by_four_pixels_is_caught(shift: tuple[int, int], options: LoadOptions, persons: Any) -> None:
    pose = load_model("pose_estimator", options)
    scores = []
    for photo, _, truth, area in persons:
        image = to_image(photo)
        found = pose.predict([image])[0][0].persons
        scale = max(image.width, image.height) / 640
        moved = [person.as_array() + np.array([shift[0] * scale, shift[1] * scale, 0], np.float32) for person in found]
        scores.append(max((oks(points, truth, area) for points in moved), default=0.0))
    assert float(np.mean(scores)) < 0.82
