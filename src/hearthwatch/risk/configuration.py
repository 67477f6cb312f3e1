"""What an analyzer is told: where the language model is, what may leave the house, and how patient to be."""

from __future__ import annotations

from dataclasses import dataclass, field

from hearthwatch.client.breaker import BreakerLimits
from hearthwatch.client.retries import RetryPolicy
from hearthwatch.errors import SettingsError
from hearthwatch.risk.stream import Limits
from hearthwatch.settings import Settings

#: For a chat template's marks and the sentence that asks for a repair: six faults of some 100 characters, generously.
AROUND_TOKENS = 512


@dataclass(frozen=True, slots=True)
class LanguageModelConfig:
    """Where to ask, and how.

    Attributes:
        url: of the server, of its `/v1`, or of one of its two routes.
        model: its name there; None: the server has one, and says which.
        allow_remote: ask one that is elsewhere, names and plates as pseudonyms.
        api_key: of the server; None where it asks for none.
        max_tokens: of an answer, thinking included.
        context_tokens: that the server keeps of a conversation (llama.cpp's `--ctx-size`, for one slot).
        connect_timeout_s: seconds for a connection.
        attempt_s: seconds for one answer.
        deadline_s: seconds for an event, waits, repeats and a repair included.
        retries: how often a question is asked, and how long between.
        breaker: when the server is left alone.
        limits: how much is read of an answer.
    """

    url: str
    model: str | None = None
    allow_remote: bool = False
    api_key: str | None = field(default=None, repr=False)
    max_tokens: int = 1024
    context_tokens: int = 16384
    connect_timeout_s: float = 10.0
    attempt_s: float = 60.0
    deadline_s: float = 120.0
    retries: RetryPolicy = field(default_factory=RetryPolicy)
    breaker: BreakerLimits = field(default_factory=BreakerLimits)
    limits: Limits = field(default_factory=Limits)

    @property
    def prompt_tokens(self) -> int:
        """What a prompt may have, so that a useless answer, what is wrong with it and a second answer still fit.

        Raises:
            SettingsError: nothing is left for one.
        """
        left = self.context_tokens - 2 * self.max_tokens - AROUND_TOKENS
        if left <= 0:
            raise SettingsError(
                f"a context of {self.context_tokens} tokens has no room for a prompt beside two answers of "
                f"{self.max_tokens}: raise HEARTHWATCH_LLM_CONTEXT_TOKENS or lower HEARTHWATCH_LLM_MAX_TOKENS"
            )
        return left

    @classmethod
    def of(
        cls, settings: Settings, url: str | None = None, *, allow_remote: bool = False
    ) -> LanguageModelConfig | None:
        """What the environment says; None where no language model is named.

        Args:
            settings: of the environment.
            url: instead of the variable.
            allow_remote: allowed beside the variable.
        """
        address = url or settings.llm_url
        if address is None:
            return None
        return cls(
            url=address,
            model=settings.llm_model,
            allow_remote=allow_remote or settings.allow_remote_llm,
            api_key=settings.llm_api_key.get_secret_value() if settings.llm_api_key else None,
            max_tokens=settings.llm_max_tokens,
            context_tokens=settings.llm_context_tokens,
            connect_timeout_s=settings.connect_timeout_s,
            attempt_s=settings.llm_timeout_s,
            deadline_s=settings.llm_deadline_s,
            retries=RetryPolicy(attempts=settings.max_retries),
            breaker=BreakerLimits(
                settings.cb_failure_threshold,
                settings.cb_recovery_timeout_s,
                settings.cb_half_open_max_calls,
                probe_timeout_s=settings.connect_timeout_s + settings.llm_timeout_s,
            ),
        )
