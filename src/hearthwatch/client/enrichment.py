"""`EnrichmentClient`: what the enrichment services know of a picture, asked for over HTTP.

Five models are answered by two services; `ENRICHMENT_{POSE,THREAT,REID,PET,DEPTH}_SERVICE` say which one is asked, as
they say which one preloads them. Everything else, `enrich` included, is the heavy service's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from hearthwatch.client import capabilities as ask
from hearthwatch.client.client import AnyBox, ServiceClient
from hearthwatch.client.enriched import Enriched
from hearthwatch.client.pictures import AnyPicture
from hearthwatch.client.transport import Json
from hearthwatch.enrichment import readers as read
from hearthwatch.errors import HearthwatchError
from hearthwatch.models import get_model
from hearthwatch.models.action_recognizer import ActionResult
from hearthwatch.models.clothing import ClothingClassificationResult
from hearthwatch.models.demographics import DemographicsResult
from hearthwatch.models.depth_estimator import DepthResult, Method, ObjectDistance
from hearthwatch.models.person_reid import ReIDResult
from hearthwatch.models.pet_classifier import PetClassificationResult
from hearthwatch.models.pose_estimator import PoseResult, Poses
from hearthwatch.models.threat_detector import ThreatResult
from hearthwatch.models.vehicle_classifier import VehicleClassificationResult
from hearthwatch.services import ASSIGNED, HEAVY, LIGHT
from hearthwatch.vision.calibration import DepthCalibration

#: What `check_health` says where no service answers, and where they differ.
UNAVAILABLE, DEGRADED = "unavailable", "degraded"


class EnrichmentClient(ServiceClient):
    """The enrichment services: `(await EnrichmentClient().classify_vehicle("car.jpg")).display_name`.

    Pictures are PIL images, arrays, bytes, paths or a `Picture`; a `bbox` is the detection that is meant, in the
    pixels of the picture given, and so are the answers. Every method takes `timeout_s`, the seconds for the whole call,
    and raises:

        EnrichmentUnavailableError: no answer, after all attempts or because the circuit is open; the leaf says why.
        InputError: the picture, the box or another field cannot be used.
        WeightsMissing, BudgetTooSmall: the service cannot answer until somebody does something about it.
        DeadlineExceeded: there was no time left to ask.
    """

    async def classify_vehicle(
        self, image: AnyPicture, bbox: AnyBox | None = None, *, timeout_s: float | None = None
    ) -> VehicleClassificationResult:
        """Which kind of vehicle, and its colour."""
        return await self._ask(ask.VEHICLE, read.vehicle, image, {"bbox": bbox}, timeout_s=timeout_s)

    async def classify_pet(
        self, image: AnyPicture, bbox: AnyBox | None = None, *, timeout_s: float | None = None
    ) -> PetClassificationResult:
        """Cat or dog."""
        return await self._ask(ask.PET, read.pet, image, {"bbox": bbox}, timeout_s=timeout_s)

    async def classify_clothing(
        self, image: AnyPicture, bbox: AnyBox | None = None, *, timeout_s: float | None = None
    ) -> ClothingClassificationResult:
        """What a person wears and carries."""
        return await self._ask(ask.CLOTHING, read.clothing, image, {"bbox": bbox}, timeout_s=timeout_s)

    async def analyze_pose(
        self,
        image: AnyPicture,
        bbox: AnyBox | None = None,
        *,
        min_confidence: float | None = None,
        timeout_s: float | None = None,
    ) -> PoseResult:
        """The pose of the person at the box, or of the most certain one; one without keypoints where there is none."""
        found = await self.analyze_poses(image, bbox, min_confidence=min_confidence, timeout_s=timeout_s)
        return found.persons[0] if found.persons else PoseResult()

    async def analyze_poses(
        self,
        image: AnyPicture,
        bbox: AnyBox | None = None,
        *,
        min_confidence: float | None = None,
        timeout_s: float | None = None,
    ) -> Poses:
        """The poses of all persons, the most certain first."""
        fields = {"bbox": bbox, "min_confidence": min_confidence}
        return await self._ask(ask.POSE, read.poses, image, fields, timeout_s=timeout_s)

    async def detect_threats(
        self,
        image: AnyPicture,
        bbox: AnyBox | None = None,
        *,
        min_confidence: float | None = None,
        timeout_s: float | None = None,
    ) -> ThreatResult:
        """Weapons and other dangerous things that count, from 0.5 or from `min_confidence`."""
        fields = {"bbox": bbox, "min_confidence": min_confidence}
        return await self._ask(ask.THREAT, read.threats, image, fields, timeout_s=timeout_s)

    async def extract_reid(
        self, image: AnyPicture, bbox: AnyBox | None = None, *, timeout_s: float | None = None
    ) -> ReIDResult:
        """A person's appearance as 512 numbers, with the space that they can be compared in."""
        return await self._ask(ask.REID, read.reid, image, {"bbox": bbox}, timeout_s=timeout_s)

    async def predict_demographics(
        self,
        image: AnyPicture,
        face_bbox: AnyBox | None = None,
        *,
        bbox: AnyBox | None = None,
        timeout_s: float | None = None,
    ) -> DemographicsResult:
        """Apparent age and gender: an estimate.

        Args:
            image: with the face.
            face_bbox: where the face is; None: where the head's joints or a face detector show one.
            bbox: of the person, to look for the face of this one.
            timeout_s: of the whole call.

        Returns:
            A result whose values are None, with `reasons`, where no face was found.
        """
        fields = {"face_bbox": face_bbox, "bbox": bbox}
        return await self._ask(ask.DEMOGRAPHICS, read.demographics, image, fields, timeout_s=timeout_s)

    async def estimate_depth(
        self, image: AnyPicture, bbox: AnyBox | None = None, *, timeout_s: float | None = None
    ) -> DepthResult:
        """How near each part of the picture is, in 256 steps; `bbox` is what its statistics are about."""
        return await self._ask(ask.DEPTH, read.depth, image, {"bbox": bbox}, timeout_s=timeout_s)

    async def estimate_object_distance(
        self,
        image: AnyPicture,
        bbox: AnyBox | None = None,
        method: Method = "center",
        *,
        calibration: DepthCalibration | None = None,
        timeout_s: float | None = None,
    ) -> ObjectDistance:
        """How far a thing is, or the whole picture.

        Args:
            image: the picture.
            bbox: of the thing.
            method: how the depth of the box becomes one value.
            calibration: of the camera; None: metres are an estimate, unless the network is a metric one.
            timeout_s: of the whole call.
        """
        plain = None if calibration is None else calibration.to_plain()
        fields = {"bbox": bbox, "method": method, "calibration": plain}
        return await self._ask(ask.DISTANCE, read.distance, image, fields, timeout_s=timeout_s)

    async def classify_action(
        self,
        frames: Sequence[AnyPicture],
        labels: Sequence[str] | None = None,
        bbox: AnyBox | None = None,
        *,
        timeout_s: float | None = None,
    ) -> ActionResult:
        """What somebody does.

        Args:
            frames: pictures in the order of time.
            labels: actions to choose from; None: the documented ones.
            bbox: of the person, in pixels of the first frame.
            timeout_s: of the whole call.
        """
        fields = {"labels": list(labels) if labels else None, "bbox": bbox}
        return await self._ask_about_frames(ask.ACTION, read.action, frames, fields, timeout_s)

    async def enrich(
        self,
        image: AnyPicture,
        detection_type: str,
        bbox: AnyBox | None = None,
        *,
        face_visible: bool = False,
        face_bbox: AnyBox | None = None,
        suspicious_score: float = 0.0,
        frames: Sequence[AnyPicture] = (),
        options: Mapping[str, Any] | None = None,
        timeout_s: float | None = None,
    ) -> Enriched:
        """Everything about one detection, in one call.

        Args:
            image: the picture.
            detection_type: person, vehicle, animal, or a class such as car.
            bbox: of the detection; None: the whole picture.
            face_visible: whether a face is to be seen, which asks for apparent age and gender.
            face_bbox: where it is.
            suspicious_score: 0 to 100; above 50 it is suspicious.
            frames: further pictures in the order of time, for the action.
            options: `depth_map`, `labels` and `distance_method`.
            timeout_s: of the whole call; where it is too short for all models, the least valuable are left out.
        """
        fields = {
            "detection_type": detection_type,
            "bbox": bbox,
            "face_visible": face_visible,
            "face_bbox": face_bbox,
            "suspicious_score": suspicious_score,
            "options": None if options is None else dict(options),
        }
        return await self._ask(ask.ENRICH, Enriched.from_wire, image, fields, frames=frames, timeout_s=timeout_s)

    async def enrich_batch(
        self,
        image: AnyPicture,
        detections: Sequence[Mapping[str, Any]],
        *,
        frames: Sequence[AnyPicture] = (),
        options: Mapping[str, Any] | None = None,
        timeout_s: float | None = None,
    ) -> list[Enriched]:
        """Everything about several detections of one picture, which travels and is decoded once.

        Args:
            image: the picture.
            detections: each with `detection_type`, and maybe `id`, `bbox`, `face_visible`, `face_bbox` and
                `suspicious_score`, as `enrich` has them.
            frames: as `enrich`.
            options: as `enrich`.
            timeout_s: as `enrich`.

        Returns:
            One for each, in their order; one that cannot be meant has its `error` and costs no other.
        """
        if not detections:
            return []
        fields = {"detections": detections, "options": None if options is None else dict(options)}

        def rows(told: Json) -> list[Enriched]:
            found = [Enriched.from_wire(row) for row in told["results"]]
            if len(found) != len(detections):
                raise ValueError(f"{len(detections)} detections were sent, and {len(found)} rows came back")
            return found

        return await self._ask(ask.ENRICH_BATCH, rows, image, fields, frames=frames, timeout_s=timeout_s)

    async def check_health(self) -> dict[str, Any]:
        """How the services are that this client asks; never an error.

        Returns:
            `status`: healthy where all are, unavailable where none answers, else degraded; and `services`: what each
            says of itself, or `{"status": "unavailable", "error": …}`.
        """
        told = dict(zip(self._names, await asyncio.gather(*map(self._health, self._names)), strict=True))
        words = {str(health.get("status")) for health in told.values()}
        status = words.pop() if len(words) == 1 else DEGRADED
        return {"status": status, "services": told}

    async def get_model_status(self) -> dict[str, Json]:
        """Memory and each model's state, by service.

        Raises:
            EnrichmentUnavailableError: a service does not answer.
        """
        pages = await asyncio.gather(*(self.service(name).tell("/models/status") for name in self._names))
        return dict(zip(self._names, pages, strict=True))

    async def preload_model(self, model_name: str) -> Json:
        """Load a model now, in the service that is asked about it; answers when it is loaded.

        Returns:
            `model_name` and `state`.

        Raises:
            UnknownModel: there is none of that name.
            EnrichmentUnavailableError: the service does not answer, or the model cannot be loaded now.
        """
        model = get_model(model_name).SPEC.name
        usual = LIGHT.name if model in ASSIGNED.values() else HEAVY.name
        home = self.service(self.config.homes.get(model, usual))
        return await home.tell("/models/preload", "POST", {"model_name": model})

    @property
    def _names(self) -> tuple[str, ...]:
        """The services that are asked about anything."""
        elsewhere = all(self.config.homes.get(model, LIGHT.name) != LIGHT.name for model in ASSIGNED.values())
        return (HEAVY.name,) if elsewhere else (HEAVY.name, LIGHT.name)

    async def _health(self, name: str) -> dict[str, Any]:
        try:
            return await self.service(name).tell("/health")
        except HearthwatchError as error:
            return {"status": UNAVAILABLE, "error": str(error)}
