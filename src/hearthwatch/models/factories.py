"""The documented factories: a model by its path, loaded; and the check of a path that came from outside."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from pathlib import Path

from hearthwatch.errors import SettingsError
from hearthwatch.models.person_reid import PersonReID
from hearthwatch.models.pose_estimator import PoseEstimator
from hearthwatch.models.threat_detector import ThreatDetector
from hearthwatch.settings import read_settings

ModelPath = str | PathLike[str]


def load_person_reid(model_path: ModelPath) -> PersonReID:
    """A loaded `PersonReID`; raises as its `load_model`."""
    return PersonReID(model_path).load_model()


def load_pose_estimator(model_path: ModelPath) -> PoseEstimator:
    """A loaded `PoseEstimator`; raises as its `load_model`."""
    return PoseEstimator(model_path).load_model()


def load_threat_detector(model_path: ModelPath) -> ThreatDetector:
    """A loaded `ThreatDetector`; raises as its `load_model`."""
    return ThreatDetector(model_path).load_model()


def validate_model_path(model_path: ModelPath, allowed: Iterable[ModelPath] | None = None) -> Path:
    """The path with links and `..` resolved, where that lies in an allowed folder.

    For paths that somebody else chose. An owner's own path needs no check: the classes take any.

    Args:
        model_path: a file or folder; it need not exist. Relative paths start at the working directory.
        allowed: the folders; None: the models directory of the settings.

    Raises:
        SettingsError: the path leads out of every allowed folder, or is no path.
    """
    bases = [_resolved(base) for base in ([read_settings().models_dir] if allowed is None else allowed)]
    path = _resolved(model_path)
    # By parts and not by letters: /models_evil begins with /models.
    if not any(path.is_relative_to(base) for base in bases):
        inside = ", ".join(map(str, bases)) or "no folder"
        raise SettingsError(f"the model path {str(model_path)!r} is {path}, which does not lie in {inside}")
    return path


def _resolved(path: ModelPath) -> Path:
    try:
        return Path(path).expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:  # links in a circle, ~ of nobody, a null byte
        raise SettingsError(f"the model path {str(path)!r} cannot be resolved: {error}") from error
