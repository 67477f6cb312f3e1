"""Where weights come from: data, one row per weight file.

The hub could not be asked where this was written. Digests and sizes are those that other projects published for the
same file; a row is `verified` where a file of that digest was in our hands. `pull` checks every row again on its first
use and says plainly what is not as the table says. A later model adds its rows here and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from hearthwatch.errors import UnknownModel

LicenceClass = Literal["permissive", "copyleft", "non-commercial", "unknown"]

#: SPDX identifiers, in lower case as hubs write them, that ask for no more than to keep the notice.
PERMISSIVE = frozenset(
    {"apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "bsd", "isc", "zlib", "bsl-1.0", "cc0-1.0", "unlicense"}
)
_NON_COMMERCIAL = re.compile(r"\bnc\b|non-?commercial")
_COPYLEFT = re.compile(r"\b[al]?gpl|\bmpl\b|\bsspl\b|\beupl\b")


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """One weight file.

    Attributes:
        model: canonical name of the model that it serves.
        file: its name on disk.
        folder: folder under the models directory that `pull` writes it to.
        licence: of the weights, as an SPDX identifier.
        repository: owner/name on the hub; None where no hub has it.
        path: where it lies in the repository; empty when it lies at the top under its own name.
        revision: branch, tag or commit to ask for.
        size_bytes: where known.
        sha256: where known, in lower case.
        verified: whether a file of this digest was checked by us.
        bundled_in: the Python package that brings the file; nothing to fetch.
        remark: what a person should know before using it.
        manual: how a person gets it where no hub has it.
        beside: further files of the repository that it needs in its folder: configuration, vocabulary.
        card: what a card beside the file says that the file does not; `pull` writes it.
        also: other models that the same file serves.
    """

    model: str
    file: str
    folder: str
    licence: str
    repository: str | None = None
    path: str = ""
    revision: str = "main"
    size_bytes: int | None = None
    sha256: str | None = None
    verified: bool = False
    bundled_in: str | None = None
    remark: str = ""
    manual: str = ""
    beside: tuple[str, ...] = ()
    card: tuple[tuple[str, str | float | tuple[str, ...]], ...] = ()
    also: tuple[str, ...] = ()

    @property
    def companions(self) -> tuple[CatalogEntry, ...]:
        """The files beside it, as rows of their own."""
        return tuple(
            replace(self, file=name, path="", size_bytes=None, sha256=None, remark="", beside=(), card=())
            for name in self.beside
        )

    @property
    def pullable(self) -> bool:
        """Whether `pull` can fetch it."""
        return self.repository is not None

    @property
    def permissive(self) -> bool:
        """Whether the policy `permissive` lets it through."""
        return licence_class(self.licence) == "permissive"

    @property
    def path_in_repository(self) -> str:
        """The file's path on the hub."""
        return self.path or self.file

    @property
    def source(self) -> str:
        """Where it comes from, for a person."""
        if self.bundled_in:
            return f"inside the package {self.bundled_in}"
        return f"{self.repository}/{self.path_in_repository}" if self.repository else "by hand"


_CLIP_CARD = (
    ("network", "clip-vit-large-patch14"),
    ("space", "openai/clip-vit-large-patch14"),
    ("logit_scale", 100.0),
)
#: Of jaranohaal/vit-base-violence-detection, which names none: the folders of its data set in the order of the
#: alphabet, in which classes are numbered; public programs that run the file read it the same way.
_VIOLENCE_NAMES = ("NonViolence", "Violence")
_EXPORT_BY_OTHERS = "an ONNX export by a third party of the official checkpoint"
_MSMT17 = "trained on MSMT17, whose terms are for research; never use the ImageNet file of the same network"
_TORCHREID = (
    "Download osnet_x0_25 trained on MSMT17 from the model zoo of github.com/KaiyangZhou/deep-person-reid"
    " (never the ImageNet file)"
)

#: The first row of a model that can be pulled is the one that is pulled by the model's name. An ONNX file stands before
#: a checkpoint, because it runs as it is.
CATALOG: tuple[CatalogEntry, ...] = (
    CatalogEntry(
        "yolo26",
        "yolo26n.onnx",
        "yolo26",
        "AGPL-3.0",
        repository="besit/yolo-onnx",
        remark=f"{_EXPORT_BY_OTHERS}, 300x6 head",
    ),
    CatalogEntry(
        "yolo26",
        "yolo26n.pt",
        "yolo26",
        "AGPL-3.0",
        repository="Ultralytics/YOLO26",
        size_bytes=5544453,
        sha256="9b09cc8bf347f0fc8a5f7657480587f25db09b34bf33b0652110fb03a8ad4fef",
    ),
    CatalogEntry("yolo26", "yolo26s.pt", "yolo26", "AGPL-3.0", repository="Ultralytics/YOLO26"),
    CatalogEntry("yolo26", "yolo26m.pt", "yolo26", "AGPL-3.0", repository="Ultralytics/YOLO26"),
    CatalogEntry(
        "pose_estimator",
        "yolov8n-pose.onnx",
        "yolov8n-pose",
        "AGPL-3.0",
        repository="Xenova/yolov8n-pose",
        path="onnx/model.onnx",
        size_bytes=13484153,
        sha256="04f6d2416266f2aba6c5ba8b26de33ed9eba3279f972ac02e33f9f1366547586",
    ),
    CatalogEntry(
        "pose_estimator",
        "yolov8n-pose.pt",
        "yolov8n-pose",
        "AGPL-3.0",
        manual="Download yolov8n-pose.pt from the releases of github.com/ultralytics/assets",
    ),
    CatalogEntry(
        "threat_detector",
        "threat-detection-yolov8n.pt",
        "threat-detection-yolov8n",
        "AGPL-3.0",
        repository="Subh775/Threat-Detection-YOLOv8n",
        path="weights/best.pt",
        remark="made from Ultralytics' YOLOv8n, so AGPL-3.0 whatever its page says; a checkpoint, to be converted once",
    ),
    CatalogEntry(
        "person_reid",
        "osnet_x0_25_msmt17.onnx",
        "osnet-x0-25",
        "MIT",
        repository="anriha/osnet_x0_25_msmt17",
        revision="1e22b925c70caa5591e9fab3f5540af8484bcad8",
        size_bytes=907169,
        sha256="e78604f4ccda49b8f41cd0f8f7303800ce75d2361895ebb0729513c1bf53d277",
        remark=f"{_MSMT17}; exported for batches of exactly 16, so one person costs as much as 16",
    ),
    CatalogEntry(
        "person_reid",
        "osnet_x0_25_msmt17.pt",
        "osnet-x0-25",
        "MIT",
        repository="paulosantiago/osnet_x0_25_msmt17",
        size_bytes=3057863,
        sha256="6f57607fed9f502b9efed546108132ee715df5a5b6e6932c6269bacb47f59f99",
        verified=True,
        remark=_MSMT17,
    ),
    CatalogEntry(
        "person_reid",
        "osnet_x0_25_msmt17.pth",
        "osnet-x0-25",
        "MIT",
        repository="kaiyangzhou/osnet",
        path="osnet_x0_25_msmt17_combineall_256x128_amsgrad_ep150_stp60_lr0.0015"
        "_b64_fb10_softmax_labelsmooth_flip_jitter.pth",
        revision="a5c5cc037c24235cda3b21085b93ad77c9616224",
        size_bytes=9336983,
        sha256="cf55163d78fc44c62c82f85ab62d39f10438679b5abe8c698ae08cfa84aa6e18",
        remark=f"the authors' own, {_MSMT17}",
    ),
    CatalogEntry("person_reid", "osnet_x0_25.pth", "osnet-x0-25", "MIT", manual=_TORCHREID, remark=_MSMT17),
    CatalogEntry(
        "pet_classifier",
        "resnet-18.onnx",
        "pet-classifier",
        "Apache-2.0",
        repository="Xenova/resnet-18",
        path="onnx/model.onnx",
        remark="a third party's export of microsoft/resnet-18; ImageNet's classes, so it can say that it is neither",
    ),
    CatalogEntry(
        "pet_classifier",
        "resnet-18.safetensors",
        "pet-classifier",
        "Apache-2.0",
        repository="microsoft/resnet-18",
        path="model.safetensors",
        remark="ImageNet's classes; a checkpoint, to be converted once",
    ),
    CatalogEntry(
        "depth_estimator",
        "depth-anything-v2-small.onnx",
        "depth-anything-v2-small",
        "Apache-2.0",
        repository="onnx-community/depth-anything-v2-small",
        path="onnx/model.onnx",
        remark="a third party's export of depth-anything/Depth-Anything-V2-Small-hf; Base and Large are non-commercial",
    ),
    CatalogEntry(
        "vehicle_classifier",
        "vehicle-segment-classification.bin",
        "vehicle-segment-classification",
        "CC-BY-NC-SA-4.0",
        repository="AventIQ-AI/ResNet-50-Vehicle-Segment-classification",
        path="pytorch_model.bin",
        remark="its authors state no licence; this is that of MIO-TCD, which it was trained on; to be converted once",
    ),
    CatalogEntry(
        "demographics",
        "fairface_age_image_detection.onnx",
        "age-gender-prediction",
        "Apache-2.0",
        repository="onnx-community/fairface_age_image_detection-ONNX",
        path="onnx/model.onnx",
        remark="ages alone; abhilash88/age-gender-prediction brings its network as a program, which is not run",
        beside=("config.json", "preprocessor_config.json"),
    ),
    CatalogEntry(
        "fashion_clip",
        "fashion-clip.safetensors",
        "fashion-clip",
        "MIT",
        repository="patrickjohncyh/fashion-clip",
        path="model.safetensors",
        remark="the authors' own, both towers in one file; a checkpoint, to be converted once",
        beside=("config.json", "preprocessor_config.json", "vocab.json", "merges.txt"),
        also=("fashion_clip_text",),
    ),
    CatalogEntry(
        "action_recognizer",
        "xclip-base-patch16-zero-shot.safetensors",
        "xclip-base-patch16-zero-shot",
        "MIT",
        repository="microsoft/xclip-base-patch16-zero-shot",
        path="model.safetensors",
        remark="the authors' own, 32 frames, both towers in one file; a checkpoint, to be converted once",
        beside=("config.json", "preprocessor_config.json", "vocab.json", "merges.txt"),
        also=("action_text",),
    ),
    CatalogEntry(
        "license_plate_detector",
        "license-plate-finetune-v1n.onnx",
        "license-plate-detector",
        "AGPL-3.0",
        repository="morsetechlab/yolov11-license-plate-detection",
    ),
    CatalogEntry(
        "license_plate_detector",
        "license-plate-finetune-v1n.pt",
        "license-plate-detector",
        "AGPL-3.0",
        repository="morsetechlab/yolov11-license-plate-detection",
    ),
    CatalogEntry(
        "plate_ocr",
        "PP-OCR",
        "plate-ocr",
        "Apache-2.0",
        bundled_in="rapidocr",
        verified=True,
        remark="three PP-OCR networks",
        also=("scene_text",),
    ),
    CatalogEntry(
        "face_detector",
        "face_detection_yunet_2023mar.onnx",
        "face_detection_yunet",
        "MIT",
        repository="opencv/face_detection_yunet",
        size_bytes=232589,
        verified=True,
        sha256="8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
    ),
    CatalogEntry(
        "violence_detector",
        "vit-base-violence-detection.safetensors",
        "violence-detection",
        "Apache-2.0",
        repository="jaranohaal/vit-base-violence-detection",
        path="model.safetensors",
        remark="in timm's layout, which transformers loads as random weights without an error; its classes are named by"
        " the card that comes with it; a checkpoint, to be converted once",
        beside=("config.json", "preprocessor_config.json"),
        card=(("names", _VIOLENCE_NAMES),),
    ),
    CatalogEntry(
        "weather_classifier",
        "weather-image-classification.safetensors",
        "weather-classification",
        "Apache-2.0",
        repository="prithivMLmods/Weather-Image-Classification",
        path="model.safetensors",
        remark="the authors' own; a checkpoint, to be converted once",
        beside=("config.json", "preprocessor_config.json"),
    ),
    CatalogEntry(
        "clip",
        "vision_model.onnx",
        "clip-vit-l",
        "MIT",
        repository="Xenova/clip-vit-large-patch14",
        path="onnx/vision_model.onnx",
        remark=f"{_EXPORT_BY_OTHERS}; the text tower comes by itself",
        card=_CLIP_CARD,
    ),
    CatalogEntry(
        "clip_text",
        "text_model.onnx",
        "clip-vit-l",
        "MIT",
        repository="Xenova/clip-vit-large-patch14",
        path="onnx/text_model.onnx",
        remark=f"{_EXPORT_BY_OTHERS}; the vision tower comes by itself",
        beside=("vocab.json", "merges.txt"),
        card=_CLIP_CARD,
    ),
    CatalogEntry(
        "clip",
        "clip-vit-large-patch14.safetensors",
        "clip-vit-l",
        "MIT",
        repository="openai/clip-vit-large-patch14",
        path="model.safetensors",
        remark="the authors' own, both towers in one file; a checkpoint, to be converted once",
        beside=("config.json", "preprocessor_config.json", "vocab.json", "merges.txt"),
        also=("clip_text",),
    ),
    CatalogEntry(
        "vehicle_damage",
        "car-dd-segmentation-yolov11.pt",
        "car-dd-segmentation",
        "AGPL-3.0",
        repository="harpreetsahota/car-dd-segmentation-yolov11",
        path="best.pt",
        remark="made from Ultralytics' YOLO11x-seg, so AGPL-3.0 whatever its page says; a checkpoint, to be converted"
        " once",
    ),
)

#: Every folder name under which a model's weights are looked for: what `pull` writes to, and the twin names that the
#: documents of deployed systems use for the same weights.
FOLDERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "yolo26": ("yolo26",),
        "pose_estimator": ("yolov8n-pose",),
        "threat_detector": ("threat-detection-yolov8n", "threat-yolov8n"),
        "person_reid": ("osnet-x0-25", "osnet-reid", "osnet"),
        "pet_classifier": ("pet-classifier",),
        "depth_estimator": ("depth-anything-v2-small",),
        "vehicle_classifier": ("vehicle-segment-classification",),
        "demographics": ("age-gender-prediction", "age-gender"),
        "fashion_clip": ("fashion-clip",),
        "fashion_clip_text": ("fashion-clip",),
        "action_recognizer": ("xclip-base-patch16-zero-shot",),
        "action_text": ("xclip-base-patch16-zero-shot",),
        "license_plate_detector": ("license-plate-detector", "yolov11-license-plate-detection"),
        "plate_ocr": (),
        "face_detector": ("face_detection_yunet", "yunet"),
        "violence_detector": ("violence-detection", "vit-base-violence-detection"),
        "weather_classifier": ("weather-classification", "weather-image-classification"),
        "clip": ("clip-vit-l", "clip-vit-large-patch14"),
        "clip_text": ("clip-vit-l", "clip-vit-large-patch14"),
        "scene_text": (),
        "vehicle_damage": ("car-dd-segmentation", "car-dd-segmentation-yolov11"),
    }
)

#: What a person takes instead who may not accept the licence of the default.
PERMISSIVE_ALTERNATIVES: Mapping[str, str] = MappingProxyType(
    {
        "yolo26": "D-FINE or RF-DETR (Apache-2.0; their heads cannot be read yet), or a permissive network of your own"
        " with a YOLO head, as ONNX with a card",
        "pose_estimator": "the folder of usyd-community/vitpose-plus-small (Apache-2.0), named by POSE_MODEL_PATH, or a"
        " permissive network of your own with a YOLO pose head, as ONNX with a card",
        "threat_detector": "a permissive weapon detector of your own with a YOLO head, as ONNX with a card",
        "vehicle_classifier": "vehicle-attributes-recognition-barrier-0039 of the Open Model Zoo (Apache-2.0), as ONNX"
        " with a card",
        "license_plate_detector": "a permissive plate detector of your own with a YOLO head, as ONNX with a card",
        "vehicle_damage": "a permissive network of your own with a YOLO segmentation head, as ONNX with a card",
    }
)


def licence_class(licence: str) -> LicenceClass:
    """Tell what a licence allows; doubt is never taken for permission.

    Args:
        licence: an SPDX identifier, or the free text of a card; empty is unknown.
    """
    text = licence.strip().lower()
    if _NON_COMMERCIAL.search(text):
        return "non-commercial"
    if _COPYLEFT.search(text):
        return "copyleft"
    return "permissive" if text in PERMISSIVE else "unknown"


def model_names() -> tuple[str, ...]:
    """List the models of the table, in its order."""
    return tuple(dict.fromkeys(entry.model for entry in CATALOG))


def entries_for(model: str) -> tuple[CatalogEntry, ...]:
    """List the weight files of one model, the preferred first; none for a model that the table does not have."""
    return tuple(entry for entry in CATALOG if model in (entry.model, *entry.also))


def default_entry(model: str) -> CatalogEntry:
    """Choose the file that stands for a model: the one that is pulled by its name, else its first.

    Raises:
        UnknownModel: the table has no such model.
    """
    entries = entries_for(model)
    if not entries:
        raise UnknownModel(f"no model {model!r}; the catalog has {', '.join(model_names())}")
    return next((entry for entry in entries if entry.pullable), entries[0])
