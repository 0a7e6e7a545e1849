"""One TOML file, one frozen settings object per stage; unknown keys are errors."""

from __future__ import annotations

import hashlib
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from camvib.errors import SettingsError

WIDTHS = (32, 48, 64)  # of the twin's channels, see `TwinSettings`


def home() -> Path:
    """Folder of the store, the MLflow database and Prefect's home: ``CAMVIB_HOME``, else ``.camvib``."""
    return Path(os.environ.get("CAMVIB_HOME", ".camvib")).resolve()


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def digest(self) -> str:
        """Name these settings: 12 hexadecimal digits that change when any value does."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]


class SpectrogramSettings(_Settings):
    """How a window becomes an image.

    `window_s` None takes the shortest training recording, at most 4 s; `fft_s` None a sixteenth of
    the window; `high_hz` None 0.45 of the sampling rate. `floor_db` is relative to the window's mean
    square. `keep_level` False removes each window's mean level, so that gain cannot be learned.
    """

    window_s: float | None = Field(None, gt=0)
    rows: int = Field(128, ge=8, le=1024)
    columns: int = Field(128, ge=8, le=1024)
    frequency_axis: Literal["log", "linear"] = "log"
    low_hz: float = Field(0.0, ge=0)
    high_hz: float | None = Field(None, gt=0)
    fft_s: float | None = Field(None, gt=0)
    floor_db: float = Field(-100.0, lt=0)
    keep_level: bool = False


class ModelSettings(_Settings):
    """Which network. `head` is one of the lecture's ways to write class activation mapping.

    ``change_cnn`` compares with the asset's healthy baseline (see `TwinSettings`); it has no `head` and no `channels`.
    """

    name: Literal["gap_cnn", "cnn_fc", "change_cnn"] = "gap_cnn"
    head: Literal["naive", "conv1x1", "softmax", "sigmoid"] = "conv1x1"
    channels: tuple[int, ...] = (16, 32, 48, 48)


class TwinSettings(_Settings):
    """How ``change_cnn`` learns what changed and what it means.

    `source` is where the twin's examples come from: ``simulated`` twins beside the recordings, ``synthetic`` changes
    made on healthy recordings, or ``auto``, the first where there are any. `epochs` are the twin's, `class_epochs`
    those of the class maps. `widths` are the twin's channels at a half, a quarter and an eighth of the image.
    """

    source: Literal["auto", "simulated", "synthetic"] = "auto"
    epochs: int = Field(8, ge=1)
    class_epochs: int = Field(20, ge=1)
    widths: tuple[int, int, int] = WIDTHS


class AugmentationSettings(_Settings):
    """Changes to a training window that leave its physics as it is.

    `tilt_db` is the spread of a random smooth gain over frequency, `floor_db` the range of a random noise floor below
    the image's top: for few machines, whose paths to the sensor would be learned instead of the fault. Both are off.
    """

    gain_db: float = Field(6.0, ge=0)
    noise_db: float = Field(-30.0, le=0)
    time_shift: bool = True
    mask_fraction: float = Field(0.1, ge=0, lt=0.5)
    tilt_db: float = Field(0.0, ge=0)
    floor_db: tuple[float, float] | None = None


class TrainingSettings(_Settings):
    """How the network is fitted."""

    epochs: int = Field(40, ge=1)
    patience: int = Field(10, ge=1)
    batch_size: int = Field(32, ge=1)
    learning_rate: float = Field(4e-3, gt=0)
    weight_decay: float = Field(1e-2, ge=0)
    test_fraction: float = Field(0.25, gt=0, lt=1)
    validation_fraction: float = Field(0.2, gt=0, lt=1)
    class_weights: bool = True
    seed: int = 0
    augmentation: AugmentationSettings = AugmentationSettings()


class DiagnosisSettings(_Settings):
    """How maps become regions and logits become a verdict.

    `region_threshold`: a region is a connected component above this fraction of the map's largest
    absolute value (docs/decisions/005-regions.md says why it is not the literature's 0.2).
    `healthy` names the reference class; None looks for healthy, normal, ok, good or baseline.
    """

    region_threshold: float = Field(0.5, gt=0, lt=1)
    max_regions: int = Field(5, ge=1)
    min_region_share: float = Field(0.03, ge=0, lt=1)
    healthy: str | None = None


class Settings(_Settings):
    """All stages."""

    spectrogram: SpectrogramSettings = SpectrogramSettings()
    model: ModelSettings = ModelSettings()
    twin: TwinSettings = TwinSettings()
    training: TrainingSettings = TrainingSettings()
    diagnosis: DiagnosisSettings = DiagnosisSettings()

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        image = self.spectrogram
        if self.model.name != "change_cnn":
            return self
        if self.model.head == "sigmoid":
            raise ValueError("change_cnn tells one condition a recording; the sigmoid head goes with gap_cnn")
        if image.keep_level:
            raise ValueError("change_cnn compares images without their level; spectrogram.keep_level must be false")
        if image.rows % 8 or image.columns % 8:
            raise ValueError(f"change_cnn takes images whose sides divide by 8, not {image.rows} × {image.columns}")
        return self

    @model_serializer(mode="wrap")
    def _without_idle_stages(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what the network has no use for: the digests of the other networks do not hang on it."""
        values: dict[str, Any] = handler(self)
        if self.model.name != "change_cnn":
            del values["twin"]
        return values

    @classmethod
    def load(cls, path: Path | None, **stages: dict[str, Any]) -> Self:
        """Read a TOML file; None gives the defaults.

        Parameters
        ----------
        path : Path, optional
        **stages : dict
            Values laid over the file's, by stage and key; None leaves what is there.

        Raises
        ------
        SettingsError
            The file is not TOML, has an unknown key or a value out of range.
        """
        try:
            given = tomllib.loads(path.read_text()) if path else {}
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise SettingsError(f"{path}: {error}", "See docs/reference/settings.md for a complete file") from error
        settings = cls._checked(given, f"{path}: ")
        over = {stage: {key: v for key, v in values.items() if v is not None} for stage, values in stages.items()}
        if not any(over.values()):
            return settings
        return cls._checked({**given, **{name: {**given.get(name, {}), **v} for name, v in over.items()}}, "")

    @classmethod
    def _checked(cls, given: dict[str, Any], origin: str) -> Self:
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            first = error.errors()[0]
            where = "".join(f"{part}." for part in first["loc"]).removesuffix(".")
            message = ": ".join(filter(None, [where, first["msg"].removeprefix("Value error, ")]))
            raise SettingsError(origin + message, "See docs/reference/settings.md for keys and ranges") from error


@dataclass(frozen=True)
class ChangeTraining:
    """How the twin, or the class maps, are trained.

    Attributes
    ----------
    epochs, batch_size, learning_rate, weight_decay
        AdamW with a one-cycle learning rate.
    widths : tuple of int
        Of the twin, see `camvib.networks.twin.TwinNet`.
    healthy_share : float
        Of faulty recordings shown as their healthy twin.
    row_shift : int
        Rows that an image and all that belongs to it move up or down, at most.
    hum_share : float
        Of images that carry mains hum, see `camvib.augmentation.mains_hum`.
    cell_weight : float
        Of the votes of single cells in the loss of the class maps.
    bfloat16 : bool
        Half the arithmetic's width, where it does no harm.
    seed : int
    """

    epochs: int = 14
    batch_size: int = 32
    learning_rate: float = 4e-3
    weight_decay: float = 1e-2
    widths: tuple[int, int, int] = WIDTHS
    healthy_share: float = 0.12
    row_shift: int = 4
    hum_share: float = 0.0
    cell_weight: float = 1.0
    bfloat16: bool = True
    seed: int = 0


def offline_environment() -> None:
    """Give Prefect and MLflow camvib's defaults: no telemetry, no server needed, all files under `home`.

    Only variables that are not set yet are set. Call it before Prefect or MLflow is imported: both read some
    of these at import.
    """
    defaults = {
        "CAMVIB_HOME": str(home()),  # absolute: flow runs may start in another working directory
        "DO_NOT_TRACK": "true",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_HOME": str(home() / "prefect"),
        # The default of 20 s fails on a busy machine.
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_LOGGING_LEVEL": "WARNING",
        "GIT_PYTHON_REFRESH": "quiet",
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
