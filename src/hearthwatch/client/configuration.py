"""What a client is told: where services are, who has which model, and how patient to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hearthwatch.client.breaker import BreakerLimits
from hearthwatch.client.retries import RetryPolicy
from hearthwatch.services import ASSIGNED, CLIP, DETECTOR, HEAVY, LIGHT, get_service
from hearthwatch.settings import Settings, read_settings

#: The largest answer that is read: a depth map of a large picture is a tenth of it.
MAX_ANSWER_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """Where to ask, and how.

    Attributes:
        urls: by the name of a service.
        homes: the service that is asked about a model, for those that two of them answer; light for those left out.
        connect_timeout_s: seconds for a connection.
        read_timeout_s: seconds for the answer, once there is one.
        retries: how often a call is made, and how long between.
        breaker: when a capability is left alone.
        api_key: of the services; None where they ask for none.
        max_answer_bytes: a longer answer is none.
        switched_off: models that somebody does not want at all; a runner does not offer them.
    """

    urls: Mapping[str, str]
    homes: Mapping[str, str] = field(default_factory=dict)
    connect_timeout_s: float = 10.0
    read_timeout_s: float = 60.0
    retries: RetryPolicy = field(default_factory=RetryPolicy)
    breaker: BreakerLimits = field(default_factory=BreakerLimits)
    api_key: str | None = field(default=None, repr=False)
    max_answer_bytes: int = MAX_ANSWER_BYTES
    switched_off: frozenset[str] = frozenset()

    @property
    def attempt_s(self) -> float:
        """Seconds after which an attempt is given up."""
        return self.connect_timeout_s + self.read_timeout_s

    @classmethod
    def of(cls, settings: Settings) -> ClientConfig:
        """What the environment says.

        Raises:
            SettingsError: a model's service is neither light nor heavy.
        """
        homes = {
            model: get_service(settings.model_service(word) or LIGHT.name).name for word, model in ASSIGNED.items()
        }
        attempt_s = settings.connect_timeout_s + settings.read_timeout_s
        return cls(
            urls={
                HEAVY.name: settings.enrichment_url,
                LIGHT.name: settings.enrichment_light_url,
                CLIP.name: settings.clip_url,
                DETECTOR.name: settings.yolo26_url,
            },
            homes=homes,
            connect_timeout_s=settings.connect_timeout_s,
            read_timeout_s=settings.read_timeout_s,
            retries=RetryPolicy(attempts=settings.max_retries),
            breaker=BreakerLimits(
                settings.cb_failure_threshold,
                settings.cb_recovery_timeout_s,
                settings.cb_half_open_max_calls,
                probe_timeout_s=attempt_s,
            ),
            api_key=settings.api_key.get_secret_value() if settings.api_key else None,
            switched_off=settings.switched_off,
        )

    @classmethod
    def from_environment(cls) -> ClientConfig:
        """What the environment says now.

        Raises:
            SettingsError: a variable that cannot be used.
        """
        return cls.of(read_settings())
