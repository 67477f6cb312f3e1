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
from pydantic import Field, SecretStr, TypeAdapter, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from hearthwatch.errors import SettingsError

#: The devices of `runtimes.select.resolve_device`; here, so that a wrong one is refused with its variable's name.
DEVICES = r"^(auto|cpu|gpu|npu|cuda(:[0-9]+)?)$"
#: Where a service is: an address without a query.
URL = r"^https?://[^/?#\s@]+(/[^?#\s]*)?$"
#: Our image sets HEARTHWATCH_CONTAINER: a shell inside somebody else's container is no reason to write to /models.
CONTAINER_MODELS, CONTAINER_CACHE = Path("/models"), Path("/cache")
PACKAGE_SAMPLES = Path(__file__).parent / "sample"
#: The documented variables that point at a model's weights, those of later models too.
_MODEL_PATHS = re.compile(
    r"(HEARTHWATCH_\w+|POSE|THREAT|REID|PET|DEPTH|VEHICLE|CLOTHING|AGE_GENDER|ACTION|CLIP|YOLO26|FLORENCE)_MODEL_PATH"
)
#: The services that may have a model which both of them answer.
HOMES = ("light", "heavy")
#: The variables that remove a model, by its canonical name.
SWITCHES = {"demographics": "DEMOGRAPHICS_ENABLED"}
CONTAINER_HF_HOME = Path("/cache/huggingface")
#: Documented engine files, under the models directory, where no variable names another.
ENGINE_FILES = {"CLIP": Path("clip-vit-l/vision_encoder_fp16.engine")}
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
    weights: Literal["auto", "real", "sample"] = Field(default="auto", validation_alias="HEARTHWATCH_WEIGHTS")
    samples_dir_variable: Path | None = Field(default=None, validation_alias="HEARTHWATCH_SAMPLES_DIR")
    device: str = Field(default="auto", pattern=DEVICES, validation_alias="HEARTHWATCH_DEVICE")
    precision: Literal["auto", "f32", "bf16", "f16"] = Field(default="auto", validation_alias="HEARTHWATCH_PRECISION")
    offline: bool = Field(default=False, validation_alias="HEARTHWATCH_OFFLINE")
    license_policy: Literal["any", "permissive"] = Field(default="any", validation_alias="HEARTHWATCH_LICENSE_POLICY")
    hf_endpoint: str = Field(default="https://huggingface.co", validation_alias="HF_ENDPOINT")

    host_variable: str | None = Field(default=None, validation_alias="HOST")
    port: int | None = Field(default=None, ge=0, le=65535, validation_alias="PORT")
    service_name: str | None = Field(default=None, validation_alias="SERVICE_NAME")
    environment: str = Field(default="production", validation_alias="ENVIRONMENT")
    pyroscope_enabled: bool | None = Field(default=None, validation_alias="PYROSCOPE_ENABLED")
    pyroscope_url: str = Field(default="http://pyroscope:4040", validation_alias="PYROSCOPE_URL")
    api_key: SecretStr | None = Field(default=None, validation_alias="HEARTHWATCH_API_KEY")
    allow_anonymous: bool = Field(default=False, validation_alias="HEARTHWATCH_ALLOW_ANONYMOUS")
    allowed_hosts: str = Field(default="", validation_alias="HEARTHWATCH_ALLOWED_HOSTS")
    open_metrics: bool = Field(default=False, validation_alias="HEARTHWATCH_OPEN_METRICS")
    budget_mb: float | None = Field(default=None, gt=0, validation_alias="ONDEMAND_VRAM_BUDGET_MB")
    budget_gb: float | None = Field(default=None, gt=0, validation_alias="VRAM_BUDGET_GB")
    preload_models: str = Field(default="", validation_alias="ENRICHMENT_PRELOAD_MODELS")
    idle_seconds: float = Field(default=300.0, ge=0, validation_alias="HEARTHWATCH_IDLE_SECONDS")
    drain_seconds: float = Field(default=30.0, ge=0, validation_alias="HEARTHWATCH_DRAIN_SECONDS")
    request_timeout_s: float = Field(default=120.0, gt=0, validation_alias="HEARTHWATCH_REQUEST_TIMEOUT_S")
    workers: int | None = Field(default=None, ge=1, le=256, validation_alias="HEARTHWATCH_WORKERS")
    queue_limit: int = Field(default=32, ge=1, validation_alias="HEARTHWATCH_QUEUE_LIMIT")
    max_batch: int | None = Field(default=None, ge=1, le=64, validation_alias="HEARTHWATCH_MAX_BATCH")
    probe: bool = Field(default=True, validation_alias="HEARTHWATCH_PROBE")
    clip_max_texts: int = Field(default=100, ge=1, le=10_000, validation_alias="CLIP_MAX_BATCH_TEXTS_SIZE")
    hf_home_variable: Path | None = Field(default=None, validation_alias="HF_HOME")
    demographics_enabled: bool = Field(default=True, validation_alias="DEMOGRAPHICS_ENABLED")

    enrichment_url: str = Field(default="http://ai-enrichment:8094", pattern=URL, validation_alias="ENRICHMENT_URL")
    enrichment_light_url: str = Field(
        default="http://ai-enrichment-light:8096", pattern=URL, validation_alias="ENRICHMENT_LIGHT_URL"
    )
    clip_url: str = Field(default="http://ai-clip:8093", pattern=URL, validation_alias="CLIP_URL")
    yolo26_url: str = Field(default="http://ai-yolo26:8090", pattern=URL, validation_alias="YOLO26_URL")
    llm_url: str | None = Field(default=None, pattern=URL, validation_alias="LLM_URL")
    llm_model: str | None = Field(default=None, max_length=200, validation_alias="LLM_MODEL")
    llm_api_key: SecretStr | None = Field(default=None, validation_alias="HEARTHWATCH_LLM_API_KEY")
    llm_max_tokens: int = Field(default=1024, ge=64, le=32768, validation_alias="HEARTHWATCH_LLM_MAX_TOKENS")
    llm_context_tokens: int = Field(
        default=16384, ge=1024, le=1_048_576, validation_alias="HEARTHWATCH_LLM_CONTEXT_TOKENS"
    )
    llm_timeout_s: float = Field(default=60.0, gt=0, le=3600, validation_alias="HEARTHWATCH_LLM_TIMEOUT_S")
    llm_deadline_s: float = Field(default=120.0, gt=0, le=3600, validation_alias="HEARTHWATCH_LLM_DEADLINE_S")
    allow_remote_llm: bool = Field(default=False, validation_alias="HEARTHWATCH_ALLOW_REMOTE_LLM")
    connect_timeout_s: float = Field(default=10.0, gt=0, le=600, validation_alias="AI_CONNECT_TIMEOUT")
    read_timeout_s: float = Field(default=60.0, gt=0, le=3600, validation_alias="ENRICHMENT_READ_TIMEOUT")
    max_retries: int = Field(default=3, ge=1, le=100, validation_alias="ENRICHMENT_MAX_RETRIES")
    cb_failure_threshold: int = Field(default=5, ge=1, validation_alias="ENRICHMENT_CB_FAILURE_THRESHOLD")
    cb_recovery_timeout_s: float = Field(default=60.0, ge=0, validation_alias="ENRICHMENT_CB_RECOVERY_TIMEOUT")
    cb_half_open_max_calls: int = Field(default=3, ge=1, validation_alias="ENRICHMENT_CB_HALF_OPEN_MAX_CALLS")

    @property
    def models_dir(self) -> Path:
        """Where weights are looked for and pulled to."""
        default = CONTAINER_MODELS if self.container else platformdirs.user_cache_path("hearthwatch") / "models"
        return (self.models_dir_variable or default).expanduser()

    @property
    def samples_dir(self) -> Path:
        """Where sample weights are: inside the package, unless somebody trains others."""
        return (self.samples_dir_variable or PACKAGE_SAMPLES).expanduser()

    @property
    def gives_weights(self) -> bool:
        """Whether somebody said where weights are, by a folder or for any model: then sample ones are not meant."""
        named = any(value.strip() and _MODEL_PATHS.fullmatch(name) for name, value in os.environ.items())
        return named or self.container or self.models_dir_variable is not None

    @property
    def cache_dir(self) -> Path:
        """Where compiled engines, probes and verdicts are kept; safe to delete."""
        default = CONTAINER_CACHE if self.container else platformdirs.user_cache_path("hearthwatch")
        return (self.cache_dir_variable or default).expanduser()

    @property
    def hub_cache(self) -> Path | None:
        """The hub's part of Hugging Face's own cache, where others may have put a checkpoint; None: nobody says where.

        It is read and never written to.
        """
        found = self.hf_home_variable or (CONTAINER_HF_HOME if self.container else None)
        return None if found is None else found.expanduser() / "hub"

    @property
    def host(self) -> str:
        """Where services listen: everywhere in a container, whose ports are published on purpose; else this machine."""
        return self.host_variable or ("0.0.0.0" if self.container else "127.0.0.1")  # noqa: S104

    @property
    def profile(self) -> bool:
        """Whether to profile: in a container, unless somebody says otherwise; elsewhere only where somebody asks."""
        return self.container if self.pyroscope_enabled is None else self.pyroscope_enabled

    @property
    def hosts(self) -> frozenset[str]:
        """Names with dots that services may be reached under."""
        return frozenset(_words(self.allowed_hosts.lower()))

    @property
    def preload(self) -> tuple[str, ...]:
        """Models to load at start."""
        return _words(self.preload_models)

    @property
    def switched_off(self) -> frozenset[str]:
        """Models that somebody does not want at all, by their canonical names."""
        return frozenset() if self.demographics_enabled else frozenset({"demographics"})

    @property
    def memory_budget_mb(self) -> float | None:
        """MiB for models; None where nobody said.

        Raises:
            SettingsError: both variables are set and differ.
        """
        if self.budget_mb is not None and self.budget_gb is not None and self.budget_mb != self.budget_gb * 1024:
            raise SettingsError(f"ONDEMAND_VRAM_BUDGET_MB={self.budget_mb:g} and VRAM_BUDGET_GB={self.budget_gb:g} "
                                "say different things; set one of them")  # fmt: skip
        return self.budget_mb if self.budget_gb is None else self.budget_gb * 1024

    def idle_seconds_of(self, model: str) -> float | None:
        """Seconds after which that model is unloaded when idle; 0 never; None: as the others.

        Raises:
            SettingsError: not a number of seconds.
        """
        name = f"HEARTHWATCH_{model.upper()}_IDLE_SECONDS"
        value = os.environ.get(name, "").strip()
        if not value:
            return None
        try:
            seconds = float(value)
        except ValueError:
            seconds = -1.0
        if not 0 <= seconds < float("inf"):
            raise SettingsError(f"{name}={value!r} cannot be used: seconds from 0 are allowed")
        return seconds

    def model_service(self, word: str) -> str | None:
        """What `ENRICHMENT_<WORD>_SERVICE` says: the service that preloads and reports a model; None: nobody said.

        Raises:
            SettingsError: neither light nor heavy.
        """
        name = f"ENRICHMENT_{word}_SERVICE"
        value = os.environ.get(name, "").strip()
        if value and value not in HOMES:
            raise SettingsError(f"{name}={value!r} cannot be used: {' or '.join(HOMES)} is allowed")
        return value or None

    def service_device(self, service: str) -> str:
        """`<SERVICE>_DEVICE`, else the device of all.

        Raises:
            SettingsError: no device.
        """
        name = f"{service.upper().replace('-', '_')}_DEVICE"
        value = os.environ.get(name, "").strip()
        if value and not re.fullmatch(DEVICES, value):
            raise SettingsError(f"{name}={value!r} cannot be used: auto, cpu, gpu, npu or cuda:N is allowed")
        return value or self.device

    def tensorrt(self, prefix: str) -> TensorRTSettings:
        """What `<PREFIX>_USE_TENSORRT`, `_TENSORRT_FP16` and `_TENSORRT_ENGINE_PATH` (also `_ENGINE_PATH`) say.

        Raises:
            SettingsError: a switch that is neither on nor off.
        """
        use = self._switch(f"{prefix}_USE_TENSORRT", f"{prefix}_DETECTOR_USE_TENSORRT")
        fp16 = self._switch(f"{prefix}_TENSORRT_FP16")
        names = (f"{prefix}_TENSORRT_ENGINE_PATH", f"{prefix}_ENGINE_PATH")
        path = next((value for name in names if (value := os.environ.get(name, "").strip())), "")
        usual = self.models_dir / ENGINE_FILES[prefix] if prefix in ENGINE_FILES else None
        return TensorRTSettings(use, fp16 is not False, Path(path).expanduser() if path else usual)

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


def _words(text: str) -> tuple[str, ...]:
    """A list with commas, as variables have it."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


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


def leave_tiles_out() -> None:
    """Let oneDNN, which OpenVINO computes with, use no AMX tiles, unless somebody set its own variable.

    With them, OpenVINO 2026.4.1 in bf16 gave NaN for vision transformers of CLIP's sizes, and crashed (Intel Xeon with
    AMX, in a virtual machine); without them the same networks agree with float32.
    """
    os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_BF16")


def disable_telemetry() -> None:
    """Tell the libraries that report usage not to. Must run before they are imported.

    It and `leave_tiles_out` alone write to the environment: there is no other switch that works before the import.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"


def child_environment() -> dict[str, str]:
    """The variables that a child process of ours needs: where programs, libraries, caches and devices are.

    Everything else stays here, above all keys and addresses.
    """
    return {name: value for name, value in os.environ.items() if _CHILD_VARIABLES.fullmatch(name)}
