"""What each sample network must reach on held-out scenes: a little under what the first training reached.

A network that falls short is not put in its place, the model cards show the floors, and the tests hold what is in the
repository to them, on scenes of their own. A network without floors is not in the package.
"""

from __future__ import annotations

from collections.abc import Mapping

FLOORS: Mapping[str, Mapping[str, float]] = {
    "yolo26": {"mAP50": 0.64, "AP50 person": 0.83},
    "pose_estimator": {"mAP50": 0.87, "OKS": 0.50, "posture": 0.56},
    "threat_detector": {"mAP50": 0.15},
    "license_plate_detector": {"mAP50": 0.69, "text": 0.76},
    "person_reid": {
        "rank_1_across_cameras": 0.60,
        "same_person_above_the_threshold": 0.68,
        "other_person_below_the_threshold": 0.94,
    },
    "depth_estimator": {"things_in_order": 0.90, "points_in_order": 0.93},
    "pet_classifier": {"accuracy": 0.83},
    "vehicle_classifier": {"accuracy": 0.87, "colour": 0.58},
    "clip": {"posture": 0.83, "clothing_colour": 0.80, "vehicle_colour": 0.83, "object": 0.84},
    "action_recognizer": {"accuracy": 0.58},
    "clip_text": {"posture_ensembled": 0.83, "clothing_colour_ensembled": 0.80, "object_ensembled": 0.84},
}
