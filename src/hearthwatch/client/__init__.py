"""The same models over HTTP: the services' answers as the types that the models themselves give."""

from hearthwatch.client.breaker import BreakerLimits, CircuitBreaker
from hearthwatch.client.clip import AnomalyScore, Classification, ClipClient
from hearthwatch.client.configuration import ClientConfig
from hearthwatch.client.detector import DetectorClient
from hearthwatch.client.enriched import Enriched
from hearthwatch.client.enrichment import EnrichmentClient
from hearthwatch.client.metrics import increment_enrichment_retry, observe_ai_request_duration, record_pipeline_error
from hearthwatch.client.retries import RetryPolicy
from hearthwatch.client.runner import HttpRunner
from hearthwatch.client.transport import Surroundings
from hearthwatch.errors import (
    BadAnswer,
    CircuitOpen,
    EnrichmentUnavailableError,
    ServiceFailed,
    ServiceOverloaded,
    ServiceRefused,
    ServiceTimedOut,
    ServiceUnreachable,
)

__all__ = [
    "AnomalyScore",
    "BadAnswer",
    "BreakerLimits",
    "CircuitBreaker",
    "CircuitOpen",
    "Classification",
    "ClientConfig",
    "ClipClient",
    "DetectorClient",
    "Enriched",
    "EnrichmentClient",
    "EnrichmentUnavailableError",
    "HttpRunner",
    "RetryPolicy",
    "ServiceFailed",
    "ServiceOverloaded",
    "ServiceRefused",
    "ServiceTimedOut",
    "ServiceUnreachable",
    "Surroundings",
    "increment_enrichment_retry",
    "observe_ai_request_duration",
    "record_pipeline_error",
]
