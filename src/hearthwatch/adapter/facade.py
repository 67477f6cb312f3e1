"""`Model`: the base of the documented classes (`PoseEstimator`, `PersonReID` …) for use without a server.

It alone joins settings, weights, engines and adapter; the classes add their documented verbs and nothing else.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

from hearthwatch.adapter.base import Adapter, PictureAdapter
from hearthwatch.adapter.loaded import LoadedModel
from hearthwatch.adapter.loading import load
from hearthwatch.adapter.options import LoadOptions
from hearthwatch.adapter.spec import Scope, Spec
from hearthwatch.artifacts.choice import choose_weights
from hearthwatch.artifacts.samples import SENTENCE
from hearthwatch.settings import Settings, TensorRTSettings, read_settings
from hearthwatch.vision.decode import PictureLike, decode, read_picture, to_image
from hearthwatch.vision.image import Image

R = TypeVar("R")

_log = logging.getLogger(__name__)


def options_from(settings: Settings, *specs: Spec, paths: Mapping[str, Path] | None = None) -> LoadOptions:
    """What the environment says about loading these models; real or sample weights is chosen here, for all of them.

    Args:
        settings: the environment.
        specs: of the models.
        paths: weight files or folders that the caller names, by model name.
    """
    variables = {spec.name: value for spec in specs if (value := settings.model_path(spec.path_variables))}
    given = settings.gives_weights or bool(paths or variables)
    options = LoadOptions(
        models_dir=settings.models_dir,
        cache_dir=settings.cache_dir,
        device=settings.device,
        precision=settings.precision,
        paths=dict(paths or {}),
        variables=variables,
        weights=choose_weights(
            settings.weights, given=given, models_dir=settings.models_dir, samples_dir=settings.samples_dir
        ),
        samples_dir=settings.samples_dir,
        hub_cache=settings.hub_cache,
        switched_off=settings.switched_off,
        tensorrt={spec.name: settings.tensorrt(spec.tensorrt) for spec in specs if spec.tensorrt},
    )
    for remark in options.remarks()[1:]:
        _log.warning("%s", remark)
    return options


def _open(image: PictureLike, adapter: PictureAdapter[Any]) -> Image:
    """The picture, at reduced size where this model is its only reader and looks at it in a small input anyway."""
    if adapter.scope is not Scope.FRAME or not isinstance(image, (bytes, str, PathLike)):
        return to_image(image)
    data = image if isinstance(image, bytes) else read_picture(image)
    return decode(data, at_least=max(adapter.input.size))


class Model(Generic[R]):
    """One model with its weights, on one device.

    Args:
        model_path: a weight file or a folder with one; None asks the documented variable, then the models directory.
            Where nobody gave any weights at all, sample weights answer, and a warning says so (`HEARTHWATCH_WEIGHTS`).
        device: auto, cpu, gpu, npu or cuda:N; None asks `HEARTHWATCH_DEVICE`.
        use_tensorrt: None asks the documented variable, off where that is not set. Without an NVIDIA GPU it is a no-op
            that `get_backend_info` tells.
    """

    ADAPTER: ClassVar[type[Adapter[Any]]]

    def __init__(
        self,
        model_path: str | PathLike[str] | None = None,
        device: str | None = None,
        use_tensorrt: bool | None = None,
    ) -> None:
        self._path = None if model_path is None else Path(model_path)
        self._device = device
        self._use_tensorrt = use_tensorrt
        self._loaded: LoadedModel | None = None
        self._warned = False
        self._lock = threading.Lock()

    def load_model(self) -> Self:
        """Find the weights and load them; a loaded model stays as it is.

        Raises:
            WeightsMissing: no weights; the message has every place looked at.
            WeightsInvalid: the file or its card is refused.
            LoadFailed: no engine could load it.
        """
        self._ready()
        return self

    def load(self) -> Self:
        """The same as `load_model`."""
        return self.load_model()

    def unload(self) -> None:
        """Give the memory back. The next call loads again; unloading twice is harmless."""
        with self._lock:
            loaded, self._loaded = self._loaded, None
        if loaded is not None:
            loaded.close()

    def get_backend_info(self) -> dict[str, Any]:
        """What runs: `backend` (tensorrt, cuda, openvino, onnxruntime, pytorch), device, precision; why not others.

        `weights` is real, sample or custom.
        """
        loaded = self._ready()
        info = loaded.info
        passed_over = [{"backend": name, "reason": reason} for name, reason in loaded.passed_over]
        return {
            "backend": "onnxruntime" if info.engine == "rapidocr" else info.engine,
            "device": info.device,
            "precision": info.precision,
            "version": info.version,
            "weights": loaded.weights,
            "passed_over": passed_over,
            "notes": list(loaded.notes),
        }

    def _predict(self, images: Sequence[PictureLike]) -> list[R]:
        loaded = self._ready()
        return loaded.predict([_open(image, loaded.looking) for image in images])[0]

    def _read(self, texts: Sequence[str]) -> list[R]:
        return self._ready().read(texts)[0]

    def _ready(self) -> LoadedModel:
        with self._lock:
            if self._loaded is None:
                self._loaded = load(self.ADAPTER, self._options())
                self._warn(self._loaded)
            return self._loaded

    def _warn(self, loaded: LoadedModel) -> None:
        """Once: what sample weights find must not pass for real."""
        if loaded.weights == "sample" and not self._warned:
            self._warned = True
            _log.warning("%s: %s", self.ADAPTER.SPEC.name, SENTENCE)

    def _options(self) -> LoadOptions:
        spec = self.ADAPTER.SPEC
        paths = {} if self._path is None else {spec.name: self._path}
        options = options_from(read_settings(), spec, paths=paths)
        if self._use_tensorrt is not None:
            given = options.tensorrt.get(spec.name, TensorRTSettings())
            options.tensorrt[spec.name] = replace(given, use=self._use_tensorrt)
        return options if self._device is None else replace(options, device=self._device)
