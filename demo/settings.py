"""Where the demo keeps its files and on which ports its services listen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from demo.errors import DemoError

PROJECT_ROOT = Path(__file__).resolve().parent.parent
# Documented and worth nothing outside this machine.
ACCESS_KEY = "local"
SECRET_KEY = "localsecret"  # noqa: S105
REGION = "us-east-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of one demo; two demos with different folders and ports do not disturb each other.

    :ivar database: SQLAlchemy's address of Airflow's database; without it, SQLite in the demo's folder
    """

    demo_dir: Path
    local_aws_dir: Path
    airflow_port: int
    s3_port: int
    rekognition_port: int
    database: str | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read the variables that the README lists.

        Airflow's own are not among them: they may be those of a production Airflow.
        """
        settings = cls(
            demo_dir=_folder(environment, "DEMO_DIR", PROJECT_ROOT / ".demo"),
            local_aws_dir=_folder(environment, "LOCAL_AWS_DIR", PROJECT_ROOT / ".local-aws"),
            airflow_port=_port(environment, "AIRFLOW_PORT", 8080),
            s3_port=_port(environment, "S3_PORT", 8333),
            rekognition_port=_port(environment, "REKOGNITION_PORT", 8334),
            database=environment.get("DEMO_DATABASE") or None,
        )
        if len({settings.airflow_port, settings.s3_port, settings.rekognition_port}) < 3:
            raise DemoError("AIRFLOW_PORT, S3_PORT and REKOGNITION_PORT must be three different ports.")
        return settings

    @property
    def airflow_home(self) -> Path:
        return self.demo_dir / "airflow"

    @property
    def passwords_file(self) -> Path:
        return self.airflow_home / "passwords.json"

    @property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{self.airflow_home / 'airflow.db'}"

    @property
    def airflow_url(self) -> str:
        return f"http://127.0.0.1:{self.airflow_port}"

    @property
    def s3_url(self) -> str:
        return f"http://127.0.0.1:{self.s3_port}"

    @property
    def rekognition_url(self) -> str:
        return f"http://127.0.0.1:{self.rekognition_port}"


def _folder(environment: Mapping[str, str], name: str, default: Path) -> Path:
    return Path(environment.get(name) or default).expanduser().resolve()


def _port(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and 1024 <= int(text) <= 65535):
        raise DemoError(f"{name}={text} is not a port from 1024 to 65535.")
    return int(text)
