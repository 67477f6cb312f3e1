"""What services can be asked for: the rows that methods, circuits and metrics go by."""

from __future__ import annotations

from dataclasses import dataclass

from hearthwatch.services import CLIP, DETECTOR, HEAVY, LIGHT


@dataclass(frozen=True, slots=True)
class Capability:
    """One thing to ask for.

    Attributes:
        name: of its circuit and in metrics: the kind of service, then what it does.
        path: of the route.
        service: that is asked, unless somebody says that another one has the model.
        model: canonical name of the model that answers; empty where several do, or the route has one service.
        raw: whether a picture may be the body itself; else it comes in a form.
    """

    name: str
    path: str
    service: str
    model: str = ""
    raw: bool = True

    @property
    def endpoint(self) -> str:
        """The path as metrics write it: `vehicle-classify`."""
        return self.path.removeprefix("/")

    @property
    def family(self) -> str:
        """The kind of service: enrichment, clip or yolo26."""
        return self.name.partition("_")[0]


VEHICLE = Capability("enrichment_vehicle", "/vehicle-classify", HEAVY.name, "vehicle_classifier")
PET = Capability("enrichment_pet", "/pet-classify", LIGHT.name, "pet_classifier")
CLOTHING = Capability("enrichment_clothing", "/clothing-classify", HEAVY.name, "fashion_clip")
POSE = Capability("enrichment_pose", "/pose-analyze", LIGHT.name, "pose_estimator")
THREAT = Capability("enrichment_threat", "/threat-detect", LIGHT.name, "threat_detector")
REID = Capability("enrichment_reid", "/person-reid", LIGHT.name, "person_reid")
DEMOGRAPHICS = Capability("enrichment_demographics", "/demographics", HEAVY.name, "demographics")
DEPTH = Capability("enrichment_depth", "/depth-estimate", LIGHT.name, "depth_estimator")
#: The heavy service alone has the route, whoever has the depth model.
DISTANCE = Capability("enrichment_depth", "/object-distance", HEAVY.name)
ACTION = Capability("enrichment_action", "/action-classify", HEAVY.name, "action_recognizer", raw=False)
ENRICH = Capability("enrichment_enrich", "/enrich", HEAVY.name, raw=False)
ENRICH_BATCH = Capability("enrichment_enrich", "/enrich/batch", HEAVY.name, raw=False)
EMBED = Capability("clip_embed", "/embed", CLIP.name)
EMBED_TEXT = Capability("clip_embed_text", "/embed-text", CLIP.name, raw=False)
ANOMALY = Capability("clip_anomaly_score", "/anomaly-score", CLIP.name, raw=False)
CLASSIFY = Capability("clip_classify", "/classify", CLIP.name)
SIMILARITY = Capability("clip_similarity", "/similarity", CLIP.name)
BATCH_SIMILARITY = Capability("clip_batch_similarity", "/batch-similarity", CLIP.name)
DETECT = Capability("yolo26_detect", "/detect", DETECTOR.name)
