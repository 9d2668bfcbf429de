"""Settings: each field is an environment variable of the same name in upper case."""

from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """How this instance runs; nothing else in the service reads the environment."""

    model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, extra="ignore")

    port: int = 8350
    release_id: str = "unreleased"
    data_dir: str = "data"
    log_level: str = "INFO"
    steward: str = ""
    public_url: str = ""
    registry_url: str = ""
    ledger_url: str = ""

    @property
    def endpoint(self) -> str:
        """Where other services reach this one."""
        return self.public_url or f"http://127.0.0.1:{self.port}"
