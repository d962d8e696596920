"""Settings: environment `VERDICTLINE_*` and a TOML file, read once in `__main__` and passed on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource


class Settings(BaseSettings):
    """kafka, triton: addresses of real servers (host:port), None starts embedded ones. state: where data is kept.

    kafka_client: further settings of the Kafka client (security), in librdkafka's names. model_store: folder that Triton serves;
    None: inside the state folder. cache: where downloads are kept; None: the user's cache folder.
    database: where the sink keeps what happened: sqlite:///path or postgresql://user:password@host/name; None: a file in the
    state folder. database_days: for how long it keeps parts, their evidence and what people said of them (some 3 kB a part).
    console_host, console_port: where the console's pages are served (port 0: any free one); beyond loopback its cookies need
    HTTPS. console_url: its address as people write it, where a proxy stands before it; console_proxies: addresses or networks of
    such proxies, with commas between: from them alone X-Forwarded-For is believed, so that logins are limited by who tries.
    oidc_issuer, oidc_client, oidc_secret: an OpenID Connect provider at which people may log in; oidc_claim: of its ID token,
    that is their name here; oidc_newcomer: the role of whom no admin has added, None: they stay outside.
    challenge_share: of what a person answers in the review queue, so much at most is challenge parts, whose answer is known;
    0: none.
    linger_ms, batch_ms: how long the image processors and triage wait for company before a request to Kafka. Requests are
    what it costs; where a gate closes in a few tenths of a second, set both to a few milliseconds.
    health_host: where /metrics and /health listen; 0.0.0.0 inside a container. prometheus: the program that `demo
    --observability` starts; None: the one on PATH.
    """

    model_config = SettingsConfigDict(env_prefix="VERDICTLINE_", frozen=True, extra="forbid", toml_file="verdictline.toml")

    kafka: str | None = None
    triton: str | None = None
    kafka_client: dict[str, str] = Field(default_factory=dict)
    state: Path = Path(".verdictline")
    model_store: Path | None = None
    cache: Path | None = None
    database: str | None = None
    database_days: float = Field(default=35, gt=0, le=36_500)
    console_host: str = "127.0.0.1"
    console_port: int = Field(default=8750, ge=0, le=65535)
    console_url: str | None = Field(default=None, pattern=r"^https?://[^/?#]+$")
    console_proxies: str = "127.0.0.1,::1"
    oidc_issuer: str | None = Field(default=None, pattern=r"^https?://.+")
    oidc_client: str = ""
    oidc_secret: SecretStr = SecretStr("")
    oidc_claim: str = "preferred_username"
    oidc_newcomer: Literal["operator", "reviewer", "engineer"] | None = None
    challenge_share: float = Field(default=0.02, ge=0, le=0.1)
    profile: str = "cpu-fp32"
    log_level: str = "info"
    health_host: str = "127.0.0.1"
    health_port: int = Field(default=0, ge=0, le=65535)
    slot: int = Field(default=0, ge=0)
    concurrency: int = Field(default=8, ge=1, le=512)
    triton_deadline_s: float = Field(default=5, gt=0)
    linger_ms: int = Field(default=50, ge=0, le=1000)
    batch_ms: int = Field(default=100, ge=0, le=1000)
    prometheus: Path | None = None
    summary_every_s: float = Field(default=60, gt=0)
    outbox_limit_bytes: int = Field(default=1 << 30, ge=1 << 20)
    inline_limit_bytes: int = Field(default=4 << 20, ge=1, le=4 << 20)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    def client(self) -> dict[str, Any]:
        """The Kafka client's base settings. Raises ValueError where no Kafka is named."""
        if self.kafka is None:
            raise ValueError("VERDICTLINE_KAFKA is not set: name a Kafka (host:port), or use `verdictline demo` or `up`")
        return {"bootstrap.servers": self.kafka, **self.kafka_client}

    @property
    def console_address(self) -> str:
        """How people reach the console."""
        host = f"[{self.console_host}]" if ":" in self.console_host else self.console_host
        return self.console_url or f"http://{host}:{self.console_port}"

    @property
    def store(self) -> Path:
        return self.model_store or self.state / "models"

    @property
    def images(self) -> Path:
        """Where images lie that are too large for Kafka: what readers of claim tickets must allow."""
        return self.state / "images"


def cache_folder(settings: Settings) -> Path:
    """Where downloads are kept: VERDICTLINE_CACHE, else the user's cache folder."""
    if settings.cache:
        return settings.cache
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "verdictline"
