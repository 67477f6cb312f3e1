"""From a checkpoint's tensors to a network that infers: which architecture they are, built and filled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import nn

from hearthwatch.errors import WeightsInvalid
from hearthwatch.networks.clip import (
    TEXT_KEY,
    VISION_KEY,
    TextTower,
    text_from_state_dict,
    vision_from_state_dict,
)
from hearthwatch.networks.depth_anything import (
    DEPTH_ANYTHING_INPUT_SIZE,
    DEPTH_ANYTHING_KEY,
    depth_anything_from_state_dict,
)
from hearthwatch.networks.osnet import OSNET_INPUT_SIZE, osnet_from_state_dict
from hearthwatch.networks.resnet import (
    HUGGING_FACE_KEY,
    RESNET_INPUT_SIZE,
    resnet_from_state_dict,
    torchvision_names,
)
from hearthwatch.networks.siglip import SIGLIP_KEY, siglip_from_state_dict
from hearthwatch.networks.vit import VIT_KEY, vit_from_state_dict
from hearthwatch.networks.vit_timm import TIMM_EPS, TIMM_KEYS, transformers_names
from hearthwatch.networks.vitpose import VITPOSE_KEYS, vitpose_from_state_dict
from hearthwatch.networks.weights import Tensors, shown
from hearthwatch.networks.xclip import XCLIP_KEY, xclip_from_state_dict
from hearthwatch.networks.yolov8 import YOLO_INPUT_SIZE, yolov8_from_state_dict
from hearthwatch.vision.inputs import IMAGENET_MEAN, IMAGENET_STD

Kind = Literal[
    "clip-text",
    "clip-vision",
    "depth-anything",
    "osnet",
    "resnet",
    "siglip",
    "vit",
    "vitpose",
    "xclip-text",
    "xclip-video",
    "yolo11-detect",
    "yolo11-pose",
    "yolo11-segment",
    "yolov8-detect",
    "yolov8-pose",
    "yolov8-segment",
]

#: What `build_network` can build, for messages.
KNOWN = (
    "OSNet (torchreid's names), ResNet-18 and ResNet-50 (torchvision's or transformers' names), ViT (transformers' or "
    "timm's names), CLIP with a vision transformer, X-CLIP, SigLIP classifiers, Depth Anything and ViTPose "
    "(transformers' names), YOLOv8 and YOLO11 detect, pose and segment"
)

#: How training on several GPUs prefixes every name.
_PARALLEL = "module."
#: Names that only these architectures have.
_OSNET_KEY = "conv2.0.conv2a.conv1.weight"
_RESNET_KEY = "layer1.0.conv1.weight"
_YOLO_KEY = "model.0.conv.weight"
_YOLO_KINDS: dict[tuple[str, str], Kind] = {
    ("yolov8", "detect"): "yolov8-detect",
    ("yolov8", "pose"): "yolov8-pose",
    ("yolov8", "segment"): "yolov8-segment",
    ("yolo11", "detect"): "yolo11-detect",
    ("yolo11", "pose"): "yolo11-pose",
    ("yolo11", "segment"): "yolo11-segment",
}


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A network with its weights, on the CPU, in float32 and evaluation mode, no gradients.

    Attributes:
        module: takes one (N, 3, H, W) float32 tensor, or (N, L) token numbers, and gives one tensor per name in
            `output_names`.
        input_size: (height, width) that the architecture is usually run at; the checkpoint may know better. Nothing for
            networks that read texts.
        stride: H and W must be multiples of it.
        kind: the architecture.
        output_names: in the order of the module's outputs.
        length: tokens of a text, for networks that read texts.
        any_size: H and W may be any multiples of the stride; else a graph is made for one size.
        card: what the architecture says of a card, where that is not what the model expects anyway.
        frames: of a clip, for networks that look at one: they are its batch, which is fixed.
        text_width: numbers of the text embeddings that it takes beside the pictures, as many rows as there are texts.
    """

    module: nn.Module
    input_size: tuple[int, int]
    stride: int
    kind: Kind
    output_names: tuple[str, ...]
    length: int | None = None
    any_size: bool = False
    card: Mapping[str, Any] = field(default_factory=dict)
    frames: int | None = None
    text_width: int | None = None


def build_network(
    tensors: Tensors,
    *,
    yaml: Mapping[str, Any] | None = None,
    task: str | None = None,
    config: Mapping[str, Any] | None = None,
    tower: str = "",
    modules: Mapping[str, str] | None = None,
    file: str,
) -> Network:
    """The network whose tensors these are. A YOLO's batch norms are folded into its convolutions.

    Args:
        tensors: by the reference's key names, of any floating point type; a "module." before all of them is removed.
        yaml: the plan that a YOLO checkpoint carries.
        task: what a YOLO checkpoint says it is for; None where it does not say.
        config: Hugging Face's config.json, which transformers need.
        tower: which of a CLIP's networks: vision or text, or of an X-CLIP's: video or text; empty takes the one that
            looks at pictures where it has one.
        modules: classes of a YOLO checkpoint's modules by their paths; None where it does not tell them.
        file: the checkpoint's name, for messages.

    Raises:
        WeightsInvalid: another architecture, or tensors that do not fit it.
    """
    if tensors and all(key.startswith(_PARALLEL) for key in tensors):
        tensors = {key.removeprefix(_PARALLEL): array for key, array in tensors.items()}
    if yaml is not None:
        return _yolo(tensors, yaml, task, modules, file)
    if (transformer := _transformer(tensors, config, tower, file)) is not None:
        return transformer
    if _OSNET_KEY in tensors or any(".IN." in key for key in tensors):
        return Network(osnet_from_state_dict(tensors, file=file), OSNET_INPUT_SIZE, 1, "osnet", ("embedding",))
    if HUGGING_FACE_KEY in tensors:
        tensors = torchvision_names(tensors)
    if _RESNET_KEY in tensors:
        return Network(resnet_from_state_dict(tensors, file=file), RESNET_INPUT_SIZE, 1, "resnet", ("logits",))
    if _YOLO_KEY in tensors:
        raise WeightsInvalid(
            f"{file} has the tensors of a YOLO network without its plan; the whole checkpoint is needed, or the ONNX "
            f"file that `yolo export model={file} format=onnx` writes"
        )
    seen = f"its tensors are {shown(list(tensors))}" if tensors else "it has no tensors"
    raise WeightsInvalid(f"{file} is no network that is built here: {seen}; known are {KNOWN}")


def _transformer(tensors: Tensors, config: Mapping[str, Any] | None, tower: str, file: str) -> Network | None:
    """A vision transformer under transformers' names; None where the tensors are of none."""
    if XCLIP_KEY in tensors:
        return _xclip(tensors, config, tower or "video", file)
    if SIGLIP_KEY in tensors:  # before CLIP, whose text tower has the names of SigLIP's
        return _siglip(tensors, config, file)
    if VISION_KEY in tensors or TEXT_KEY in tensors:
        return _clip(tensors, config, tower or ("vision" if VISION_KEY in tensors else "text"), file)
    if DEPTH_ANYTHING_KEY in tensors:
        return _depth_anything(tensors, config, file)
    if tensors.keys() >= VITPOSE_KEYS:
        return _vitpose(tensors, config, file)
    if tensors.keys() >= TIMM_KEYS:
        tensors, config = transformers_names(tensors), {**(config or {}), "layer_norm_eps": TIMM_EPS}
    if VIT_KEY in tensors:
        vit = vit_from_state_dict(tensors, config, file=file)
        return Network(vit, vit.plan.input_size, vit.plan.patch, "vit", ("logits",), card=_sized(vit.plan.input_size))
    return None


def _sized(size: tuple[int, int]) -> Mapping[str, Any]:
    """The card of a network that takes one size, whatever the model takes usually."""
    return {"input": {"size": size}}


def _siglip(tensors: Tensors, config: Mapping[str, Any] | None, file: str) -> Network:
    plan = (module := siglip_from_state_dict(tensors, config, file=file)).plan
    return Network(module, plan.input_size, plan.patch, "siglip", ("logits",), card=_sized(plan.input_size))


def _clip(tensors: Tensors, config: Mapping[str, Any] | None, tower: str, file: str) -> Network:
    if {"vision": VISION_KEY, "text": TEXT_KEY}.get(tower) not in tensors:
        raise WeightsInvalid(f"{file} is a CLIP without {'its' if tower in {'vision', 'text'} else 'a'} {tower} tower")
    if tower == "vision":
        vision = vision_from_state_dict(tensors, config, file=file)
        patches = vision.vision_model.embeddings
        patch = int(patches.patch_embedding.kernel_size[0])
        side = round((patches.position_embedding.num_embeddings - 1) ** 0.5) * patch
        return Network(vision, (side, side), patch, "clip-vision", ("image_embeds",))
    return _text_tower(text_from_state_dict(tensors, config, file=file), "clip-text")


def _text_tower(text: TextTower, kind: Kind) -> Network:
    length = int(text.text_model.embeddings.position_embedding.num_embeddings)
    return Network(text, (0, 0), 1, kind, ("text_embeds",), length, card={"context_length": length})


def _xclip(tensors: Tensors, config: Mapping[str, Any] | None, tower: str, file: str) -> Network:
    if tower == "text":
        return _text_tower(text_from_state_dict(tensors, config, file=file, highest_ends=True), "xclip-text")
    if tower != "video":
        raise WeightsInvalid(f"{file} is an X-CLIP, which looks at clips, and not at pictures (no {tower} tower)")
    plan = (module := xclip_from_state_dict(tensors, config, file=file)).plan
    return Network(
        module,
        (plan.size, plan.size),
        plan.patch,
        "xclip-video",
        ("video_embeds", "text_embeds"),
        card=_sized((plan.size, plan.size)),
        frames=plan.frames,
        text_width=plan.prompt.width,
    )


def _depth_anything(tensors: Tensors, config: Mapping[str, Any] | None, file: str) -> Network:
    module = depth_anything_from_state_dict(tensors, config, file=file)
    height, width = DEPTH_ANYTHING_INPUT_SIZE
    return Network(
        module,
        (height - height % module.patch, width - width % module.patch),
        module.patch,
        "depth-anything",
        ("predicted_depth",),
        any_size=True,
        card={"input": {"multiple": module.patch}} | ({"metric": True} if module.kind == "metric" else {}),
    )


def _vitpose(tensors: Tensors, config: Mapping[str, Any] | None, file: str) -> Network:
    module = vitpose_from_state_dict(tensors, config, file=file)
    size = module.plan.size
    stated = {"size": size, "scale": 1 / 255, "mean": IMAGENET_MEAN, "std": IMAGENET_STD, "resize": "box",
              "name": "pixel_values", "interpolation": "linear"}  # fmt: skip
    return Network(module, size, module.plan.patch, "vitpose", ("heatmaps",), card={"input": stated})


def _yolo(
    tensors: Tensors, yaml: Mapping[str, Any], task: str | None, modules: Mapping[str, str] | None, file: str
) -> Network:
    module = yolov8_from_state_dict(tensors, yaml, modules=modules, file=file)
    if task is not None and task != module.task:
        raise WeightsInvalid(f"{file} says that it is for {task[:40]!r}, and its head is for {module.task!r}")
    names = ("output0", "output1") if module.task == "segment" else ("output0",)
    return Network(module, YOLO_INPUT_SIZE, module.stride, _YOLO_KINDS[module.generation, module.task], names)
