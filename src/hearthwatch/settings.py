"""The only reader of the environment.

Documented names are kept exactly; ours start with `HEARTHWATCH_`. An empty variable is an unset one. Everything below
the entry points takes plain values.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import platformdirs
from pydantic import Field, TypeAdapter, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from hearthwatch.errors import SettingsError

#: The devices of `runtimes.select.resolve_device`; here, so that a wrong one is refused with its variable's name.
DEVICES = r"^(auto|cpu|gpu|npu|cuda(:[0-9]+)?)$"
#: Our image sets HEARTHWATCH_CONTAINER: a shell inside somebody else's container is no reason to write to /models.
CONTAINER_MODELS, CONTAINER_CACHE = Path("/models"), Path("/cache")
#: What a child process is given of the environment.
_CHILD_VARIABLES = re.compile(
    r"PATH|HOME|USER|LANG|LC_\w+|TZ|TMPDIR|PYTHON(PATH|HOME|UTF8|DONTWRITEBYTECODE)|VIRTUAL_ENV|XDG_CACHE_HOME"
    r"|LD_LIBRARY_PATH|CUDA_\w+|NVIDIA_\w+|OMP_\w+|MALLOC_\w+|GLIBC_TUNABLES|OPENVINO_\w+"
)


@dataclass(frozen=True, slots=True)
class TensorRTSettings:
    """How one model may use TensorRT.

    Attributes:
        use: None where nobody said.
        fp16: build in half precision.
        engine_path: the documented `.engine` file; None keeps engines in the cache.
    """

    use: bool | None = None
    fp16: bool = True
    engine_path: Path | None = None


class Settings(BaseSettings):
    """Values of the environment, checked; a wrong one is named in a `SettingsError` by `read_settings`."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True, populate_by_name=True)

    container: bool = Field(default=False, validation_alias="HEARTHWATCH_CONTAINER")
    models_dir_variable: Path | None = Field(default=None, validation_alias="HEARTHWATCH_MODELS_DIR")
    cache_dir_variable: Path | None = Field(default=None, validation_alias="HEARTHWATCH_CACHE_DIR")
    device: str = Field(default="auto", pattern=DEVICES, validation_alias="HEARTHWATCH_DEVICE")
    precision: Literal["auto", "f32", "bf16", "f16"] = Field(default="auto", validation_alias="HEARTHWATCH_PRECISION")
    offline: bool = Field(default=False, validation_alias="HEARTHWATCH_OFFLINE")
    license_policy: Literal["any", "permissive"] = Field(default="any", validation_alias="HEARTHWATCH_LICENSE_POLICY")
    hf_endpoint: str = Field(default="https://huggingface.co", validation_alias="HF_ENDPOINT")

    @property
    def models_dir(self) -> Path:
        """Where weights are looked for and pulled to."""
        default = CONTAINER_MODELS if self.container else platformdirs.user_cache_path("hearthwatch") / "models"
        return (self.models_dir_variable or default).expanduser()

    @property
    def cache_dir(self) -> Path:
        """Where compiled engines, probes and verdicts are kept; safe to delete."""
        default = CONTAINER_CACHE if self.container else platformdirs.user_cache_path("hearthwatch")
        return (self.cache_dir_variable or default).expanduser()

    def tensorrt(self, prefix: str) -> TensorRTSettings:
        """What `<PREFIX>_USE_TENSORRT`, `_TENSORRT_FP16` and `_TENSORRT_ENGINE_PATH` say.

        Raises:
            SettingsError: a switch that is neither on nor off.
        """
        use = self._switch(f"{prefix}_USE_TENSORRT", f"{prefix}_DETECTOR_USE_TENSORRT")
        fp16 = self._switch(f"{prefix}_TENSORRT_FP16")
        path = os.environ.get(f"{prefix}_TENSORRT_ENGINE_PATH", "").strip()
        return TensorRTSettings(use, fp16 is not False, Path(path).expanduser() if path else None)

    @staticmethod
    def _switch(*names: str) -> bool | None:
        for name in names:
            value = os.environ.get(name, "").strip()
            if not value:
                continue
            try:
                return TypeAdapter(bool).validate_python(value.lower())
            except ValidationError as error:
                raise SettingsError(f"{name}={value!r} cannot be used: true or false is allowed") from error
        return None

    def model_path(self, variables: Sequence[str]) -> tuple[str, str] | None:
        """(name, value) of the first of these `*_MODEL_PATH` variables that is set, or None."""
        for name in variables:
            if value := os.environ.get(name, "").strip():
                return name, value
        return None


def read_settings() -> Settings:
    """The environment as it is now.

    Raises:
        SettingsError: names the variable, the value and what is allowed.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name, value = first["loc"][0], first["input"]
        raise SettingsError(f"{name}={value!r} cannot be used: {first['msg']}") from error


def disable_telemetry() -> None:
    """Tell the libraries that report usage not to. Must run before they are imported.

    The only writer of the environment: they have no other switch that works before their import.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"


def child_environment() -> dict[str, str]:
    """The variables that a child process of ours needs: where programs, libraries, caches and devices are.

    Everything else stays here, above all keys and addresses.
    """
    return {name: value for name, value in os.environ.items() if _CHILD_VARIABLES.fullmatch(name)}
