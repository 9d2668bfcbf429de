"""The only place that reads the environment.

Nothing is read at import: `load()` is called once at each edge (adapter, worker task, command line)
and hands a frozen value inward. Empty variables count as unset.
"""

import os
import re
from ipaddress import IPv4Address
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import (
    Field,
    HttpUrl,
    IPvAnyAddress,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from build_executor.claude_models import Price
from build_executor.errors import InvalidSettings

_SHORTEST_KEY = 32
_ABSOLUTE_PATH = re.compile(r"/[A-Za-z0-9/._-]{1,80}")  # a unix socket's is at most 107
_SHARES = range(1, 100)
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class Settings(BaseSettings):
    """How this installation runs; every field is an environment variable of the same name."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    build_executor_home: Path = Field(
        default=Path("~/.build-executor"), description="builds, artifacts, releases, Prefect's data"
    )
    host: str = Field(default="127.0.0.1", description="where the adapter listens")
    port: int = Field(default=8211, ge=1, le=65535, description="the adapter's port")
    spec_roots: Annotated[tuple[Path, ...], NoDecode] = Field(
        default=(Path(),), description="folders a spec_path may lie in, separated by `:`"
    )
    approval_timeout_seconds: int = Field(
        default=86_400, ge=1, description="how long a build waits at a checkpoint"
    )
    breaking_change_approval: bool = Field(
        default=True, description="whether a build that breaks callers of the live version waits"
    )
    registry_url: HttpUrl | None = Field(
        default=None, description="the mesh's registry; unset: the embedded service directory"
    )
    verifier_url: HttpUrl | None = Field(default=None, description="the mesh's verifier")
    orchestrator_url: HttpUrl | None = Field(default=None, description="the mesh's orchestrator")
    sovereign_factory_url: HttpUrl | None = Field(
        default=None, description="told of failed builds and roll-backs"
    )
    anthropic_api_key: SecretStr | None = Field(
        default=None, description="unset: the embedded compiler alone writes the code"
    )
    anthropic_base_url: HttpUrl = Field(
        default=HttpUrl("https://api.anthropic.com"), description="where Claude is asked"
    )
    claude_model: str = Field(
        default="claude-sonnet-4-5-20250929", description="the model that is asked for code"
    )
    claude_fallback_models: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("claude-sonnet-5-5", "claude-opus-5-5"),
        description="asked in this order when a model is gone, separated by `,`; `-`: none",
    )
    claude_prices: dict[str, Price] = Field(
        default={}, description="JSON, dollars per million tokens; goes before the built-in table"
    )
    claude_build_dollars: float = Field(
        default=2.0, ge=0, description="the most that Claude may cost a build"
    )
    claude_day_dollars: float = Field(
        default=20.0, ge=0, description="the most that Claude may cost a day, in UTC"
    )
    jwt_secret: SecretStr | None = Field(
        default=None, description="HS256 key of at least 32 bytes; unset: loopback only, no tokens"
    )
    verifier_policy: Literal["required", "advisory", "off"] = Field(
        default="required", description="whether the mesh's verifier decides, or is only logged"
    )
    bubblewrap: str = Field(default="bwrap", description="the program that confines generated code")
    jwt_issuer: str = Field(default="build-executor", description="the `iss` a token must carry")
    jwt_audience: str = Field(default="build-executor", description="the `aud` a token must carry")
    prefect_server_api_port: int = Field(
        default=4200, ge=1, le=65535, description="where `make up` starts Prefect server"
    )
    schemathesis_seconds: int = Field(
        default=8, ge=0, le=30, description="odd requests to a staged copy; 0: none"
    )
    queue_limit: int = Field(
        default=100, ge=1, description="builds that may wait in the queue; others get 429"
    )
    keep_releases: int = Field(default=5, ge=2, description="proven releases kept per service")
    keep_builds: int = Field(
        default=500, ge=20, description="builds whose artifacts are kept, besides what is installed"
    )
    keep_days: int = Field(
        default=30, ge=2, description="how long caches and logs are kept that nobody uses"
    )
    keep_history_days: int = Field(
        default=90, ge=2, description="how long Prefect knows of runs whose release is nowhere"
    )
    guard_seconds: float = Field(
        default=10, ge=0, le=900, description="how long a new release is watched, the old one warm"
    )
    canary_steps: Annotated[tuple[int, ...], NoDecode] = Field(
        default=(),
        max_length=5,
        description="percent of the traffic a new release gets first, such as `10,50`",
    )
    canary_step_seconds: float = Field(
        default=10, ge=0, le=300, description="how long each of `CANARY_STEPS` lasts"
    )
    canary_header: str | None = Field(
        default=None,
        pattern=r"^[\w-]+:.*\S$",
        description="`name: value` of requests that meet the new release during `CANARY_STEPS`",
    )
    canary_cookie: str | None = Field(
        default=None, pattern=r"^[\w-]+=[\w.-]+$", description="`name=value`, likewise"
    )
    canary_port_offset: int | None = Field(
        default=None,
        ge=1,
        le=60_000,
        description="during `CANARY_STEPS`, the new release alone answers that many ports above",
    )
    switch: Literal["embedded", "caddy"] = Field(
        default="embedded", description="who owns the public ports of services"
    )
    caddy_admin: HttpUrl = Field(
        default=HttpUrl("http://127.0.0.1:2019"),
        description="Caddy's admin API, for `SWITCH=caddy`",
    )
    docker: bool = Field(default=False, description="whether local releases run in containers")
    docker_base_image: str = Field(
        default="python:3.11-slim", description="what containers are made from: any Python 3.11+"
    )
    docker_host: str = Field(
        default="unix:///var/run/docker.sock", description="where the Docker engine answers"
    )

    production_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="`user@host[:port]` of each production host, separated by `,`"
    )
    production_runtime: Literal["systemd", "docker"] = Field(
        default="systemd", description="what keeps releases running on production hosts"
    )
    production_root: PurePosixPath = Field(
        default=PurePosixPath("/srv/apps"), description="the folder of a production host for us"
    )
    production_bind: IPvAnyAddress = Field(
        default=IPv4Address("0.0.0.0"),  # noqa: S104 - production is there to be reached
        description="the address at which production hosts open public ports",
    )
    ssh_key_file: Path | None = Field(
        default=None, description="the private key that production hosts accept, no passphrase"
    )
    ssh_known_hosts: Path | None = Field(
        default=None, description="the host keys of the production hosts; others are refused"
    )

    @field_validator("spec_roots", mode="before")
    @classmethod
    def _split_roots(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(Path(part) for part in value.split(":") if part)
        return value

    @field_validator("claude_fallback_models", mode="before")
    @classmethod
    def _split_models(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip(" -"))
        return value

    @field_validator("canary_steps", mode="before")
    @classmethod
    def _split_steps(cls, value: object) -> object:
        return tuple(value.split(",")) if isinstance(value, str) else value

    @field_validator("canary_steps")
    @classmethod
    def _growing(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not set(value) <= set(_SHARES) or list(value) != sorted(set(value)):
            raise ValueError("must be growing percentages from 1 to 99")
        return value

    @field_validator("production_hosts", mode="before")
    @classmethod
    def _split_hosts(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("production_root")
    @classmethod
    def _absolute_root(cls, value: PurePosixPath) -> PurePosixPath:
        if not _ABSOLUTE_PATH.fullmatch(str(value)):
            raise ValueError("must be an absolute path, short and of letters, digits and `/._-`")
        return value

    @field_validator("build_executor_home")
    @classmethod
    def _absolute_home(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("spec_roots")
    @classmethod
    def _absolute_roots(cls, value: tuple[Path, ...]) -> tuple[Path, ...]:
        return tuple(root.expanduser().absolute() for root in value)

    @field_validator("jwt_secret")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value().encode()) < _SHORTEST_KEY:
            raise ValueError("must have at least 32 bytes")
        return value

    @model_validator(mode="after")
    def _open_to_others_only_with_tokens(self) -> Self:
        if not self.is_loopback_only and self.jwt_secret is None:
            raise ValueError(f"HOST {self.host} is not loopback: set JWT_SECRET, or HOST=127.0.0.1")
        return self

    @property
    def is_loopback_only(self) -> bool:
        """Whether nobody but this machine can reach the adapter."""
        return self.host in _LOOPBACK

    @property
    def builds(self) -> Path:
        """One folder a build: its workspace."""
        return self.build_executor_home / "builds"

    @property
    def artifacts(self) -> Path:
        """One folder a build: what is kept of it."""
        return self.build_executor_home / "artifacts"

    @property
    def specs(self) -> Path:
        """Submitted SPECs by their SHA-256."""
        return self.build_executor_home / "specs"

    @property
    def sources(self) -> Path:
        """One folder a service: the functions that people may edit between two builds."""
        return self.build_executor_home / "sources"

    @property
    def services(self) -> Path:
        """The local target: releases, supervisor, switch."""
        return self.build_executor_home / "services"

    @property
    def cache(self) -> Path:
        """Downloaded wheels and prepared environments; may be deleted at any time."""
        return self.build_executor_home / "cache"

    @property
    def spending(self) -> Path:
        """One file a day: what language models cost."""
        return self.build_executor_home / "spending"

    @property
    def directory(self) -> Path:
        """The embedded service directory's file."""
        return self.build_executor_home / "directory.json"

    def secrets(self) -> list[str]:
        """The values that must never be written anywhere."""
        kept = (self.anthropic_api_key, self.jwt_secret)
        return [secret.get_secret_value() for secret in kept if secret is not None]


_INSTALLER_VARIABLES = frozenset(
    {"SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}
    | {"UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS"}
    | {"UV_INDEX_STRATEGY", "UV_INSECURE_HOST", "UV_OFFLINE", "UV_KEYRING_PROVIDER"}
    | {"UV_NATIVE_TLS", "UV_SYSTEM_CERTS", "UV_HTTP_TIMEOUT"}
)
_PIP_VARIABLES = {
    "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
    "PIP_EXTRA_INDEX_URL": "UV_INDEX",
    "PIP_CERT": "SSL_CERT_FILE",
}


def installer_environment() -> dict[str, str]:
    """Where packages come from, as the operator set it for uv or pip; no other variable."""
    from_pip = {uv: os.environ.get(pip, "") for pip, uv in _PIP_VARIABLES.items()}
    own = {name: os.environ[name] for name in os.environ if name.upper() in _INSTALLER_VARIABLES}
    return {name: value for name, value in {**from_pip, **own}.items() if value}


def load() -> Settings:
    """The settings of this process; raises InvalidSettings naming each variable that is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        problems = "; ".join(
            f"{'_'.join(map(str, problem['loc'])).upper() or 'settings'}: {problem['msg']}"
            for problem in error.errors(include_input=False, include_url=False)
        )
        raise InvalidSettings(problems) from None


def inherited_environment() -> dict[str, str]:
    """This process's whole environment: for the product's own parts, never for generated code."""
    return dict(os.environ)
