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

WIDTHS = (32, 64, 96)  # of the change network's channels, see `ModelSettings`


def home() -> Path:
    """Folder of the store, the MLflow database and Prefect's home: ``CAMVIB_HOME``, else ``.camvib``."""
    return Path(os.environ.get("CAMVIB_HOME", ".camvib")).resolve()


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def digest(self) -> str:
        """Name these settings: 12 hexadecimal digits that change when any value does."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]


class ImageSettings(_Settings):
    """How a window becomes an image; `camvib.images` has one file for each `kind`.

    `window_s` None takes the shortest training recording, at most 4 s; `fft_s` None the share `fft_share` of the
    window; `high_hz` None 0.45 of the sampling rate, or what an envelope reaches. `floor_db` is relative to the
    window's mean square. `keep_level` False removes each window's mean level, so that gain cannot be learned.

    `frequency_axis` ``log`` is linear up to a twelfth of the top and logarithmic above, ``geometric`` logarithmic from
    `low_hz` on. `layers` says how the carrier bands of an envelope become one image. `whiten` removes each column's
    running median over so many rows: lines remain, slopes do not. With `at_shaft_speed` the frequency axis moves with
    the shaft's speed, where recordings name it, so that what turns stands in one row at every speed.
    """

    kind: str = "spectrogram"
    window_s: float | None = Field(None, gt=0)
    rows: int = Field(128, ge=8, le=1024)
    columns: int = Field(128, ge=4, le=1024)
    frequency_axis: Literal["log", "linear", "geometric"] = "log"
    low_hz: float = Field(0.0, ge=0)
    high_hz: float | None = Field(None, gt=0)
    fft_s: float | None = Field(None, gt=0)
    fft_share: float = Field(1 / 16, gt=0, le=1)
    floor_db: float = Field(-100.0, lt=0)
    keep_level: bool = False
    layers: Literal["max", "mean"] = "max"
    whiten: int = Field(0, ge=0, le=501)
    at_shaft_speed: bool = False

    @model_serializer(mode="wrap")
    def _without_usual_values(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what images did not have at first, where it is as it was: digests of then still hold."""
        values: dict[str, Any] = handler(self)
        later = ("kind", "fft_share", "layers", "whiten", "at_shaft_speed")
        return {
            name: value
            for name, value in values.items()
            if name not in later or value != type(self).model_fields[name].default
        }


class ModelSettings(_Settings):
    """Which network: the name of a file in `camvib.networks`, which says what it does with the rest.

    `head` is one of the lecture's ways to write class activation mapping. `kernel_rows` and `waves` (sine channels that
    tell a row's place) are of ``place_cnn``, `widths` (channels at a half, a quarter and an eighth of the image) of
    ``change_cnn``. ``auto`` compares what fits the data, see `camvib.learning.candidates`.
    """

    name: str = "auto"
    head: Literal["naive", "conv1x1", "softmax", "sigmoid"] = "conv1x1"
    channels: tuple[int, ...] = (16, 32, 48, 48)
    kernel_rows: tuple[int, ...] = (5, 3, 3)
    waves: int = Field(4, ge=0)
    widths: tuple[int, int, int] = WIDTHS


class TwinSettings(_Settings):
    """How ``change_cnn`` learns what changed and what it means.

    `start` is ``shipped``, the network that comes with camvib, or ``nothing``. `source` is where further examples of
    changes come from: ``simulated`` twins beside the recordings, ``synthetic`` changes made on healthy recordings,
    ``none``, which leaves the change network as it was shipped, or ``auto``: simulated where there are any, else none
    from a shipped start and synthetic from nothing. `epochs` are those of the change network, `class_epochs` those of
    the class maps. `healthy_share` of faulty recordings are shown as their healthy twin; `row_shift` rows an image may
    move; `line_share` of them carry lines that vanish or appear; `hum_share` and `class_hum_share` of images carry
    mains hum; `cell_weight` is that of single cells' votes in the loss.
    """

    start: Literal["shipped", "nothing"] = "shipped"
    source: Literal["auto", "simulated", "synthetic", "none"] = "auto"
    epochs: int = Field(4, ge=1)
    class_epochs: int = Field(8, ge=1)
    healthy_share: float = Field(0.12, ge=0, lt=1)
    row_shift: int = Field(4, ge=0)
    hum_share: float = Field(0.1, ge=0, le=1)
    line_share: float = Field(0.2, ge=0, le=1)
    class_hum_share: float = Field(0.05, ge=0, le=1)
    cell_weight: float = Field(1.0, ge=0)
    bfloat16: bool = False


class AugmentationSettings(_Settings):
    """Changes to a training image that leave its physics as it is.

    `time_shift` is circular. `mask_fraction` is the greatest share of rows, and of columns, that is hidden. `tilt_db`
    is the spread of a random smooth gain over frequency, `floor_db` the range of a random noise floor below the image's
    top: for few machines, whose paths to the sensor would be learned instead of the fault. `gain_db` counts where the
    level is kept. `speed_jitter` is the greatest relative stretch of a linear frequency axis: bearings slip, and a
    nominal speed is not the true one. `some_layers` takes a random choice of an envelope's carrier bands.
    """

    gain_db: float = Field(6.0, ge=0)
    noise_db: float = Field(-30.0, le=0)
    time_shift: bool = True
    mask_fraction: float = Field(0.1, ge=0, lt=0.5)
    tilt_db: float = Field(0.0, ge=0)
    floor_db: tuple[float, float] | None = None
    speed_jitter: float = Field(0.0, ge=0, lt=0.5)
    some_layers: bool = True


class TrainingSettings(_Settings):
    """How the network is fitted.

    `overlap` is that of training windows. `patience` None trains all epochs. `steps` is the least number of steps in
    all: of few windows an epoch is longer than once through them. `sparsity` is the price on the mean absolute class
    map, which rises from the middle of the training on. `minutes` is the time that a comparison of networks may take.
    `false_alarms` is the share of healthy recordings called faulty that held-out groups set the threshold by; new
    machines may pass it. `test_fraction` 0 trains on all groups: figures are then those of the comparison.
    """

    epochs: int = Field(40, ge=1)
    patience: int | None = Field(10, ge=1)
    steps: int = Field(0, ge=0)
    batch_size: int = Field(32, ge=1)
    learning_rate: float = Field(4e-3, gt=0)
    weight_decay: float = Field(1e-2, ge=0)
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    sparsity: float = Field(0.0, ge=0)
    overlap: float = Field(0.0, ge=0, lt=1)
    test_fraction: float = Field(0.25, ge=0, lt=1)
    validation_fraction: float = Field(0.2, ge=0, lt=1)
    class_weights: bool = True
    false_alarms: float = Field(0.02, gt=0, lt=1)
    minutes: float = Field(10.0, gt=0)
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


def _by_present_names(given: dict[str, Any]) -> dict[str, Any]:
    """Take files and model folders of camvib 0.1.0: the image was spectrogram, and the widths were the twin's."""
    given = dict(given)
    if "spectrogram" in given:
        if "image" in given:
            raise ValueError("image and spectrogram are the same stage; give image alone")
        given["image"] = given.pop("spectrogram")
    twin = given.get("twin")
    if isinstance(twin, dict) and "widths" in twin:
        given["twin"] = {name: value for name, value in twin.items() if name != "widths"}
        given["model"] = {"widths": twin["widths"], **given.get("model", {})}
    return given


class Settings(_Settings):
    """All stages."""

    image: ImageSettings = ImageSettings()
    model: ModelSettings = ModelSettings()
    twin: TwinSettings = TwinSettings()
    training: TrainingSettings = TrainingSettings()
    diagnosis: DiagnosisSettings = DiagnosisSettings()

    @model_validator(mode="before")
    @classmethod
    def _former(cls, given: Any) -> Any:
        return _by_present_names(given) if isinstance(given, dict) else given

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        image = self.image
        if self.model.name != "change_cnn":
            return self
        if self.model.head == "sigmoid":
            raise ValueError("change_cnn tells one condition a recording; the sigmoid head goes with gap_cnn")
        if image.keep_level:
            raise ValueError("change_cnn compares images without their level; image.keep_level must be false")
        if image.rows % 8 or image.columns % 8:
            raise ValueError(f"change_cnn takes images whose sides divide by 8, not {image.rows} × {image.columns}")
        return self

    def with_(self, **stages: dict[str, Any]) -> Self:
        """Return a copy with values laid over it, by stage and key, checked anew.

        Raises
        ------
        SettingsError
        """
        given = self.model_dump()
        return self._checked({**given, **{name: {**given[name], **values} for name, values in stages.items()}}, "")

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
        given = _by_present_names(given)
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
    line_share : float
        Of images with lines that vanish, appear, swell or move, see `camvib.augmentation.lines`.
    sensor_share : float
        Of images seen by another sensor, see `camvib.augmentation.other_sensor`.
    crop_columns : int
        Columns of each image that the twin is trained on, drawn anew each time; 0: all. Half of them cost half.
    cell_weight : float
        Of the votes of single cells in the loss of the class maps.
    bfloat16 : bool
        Half the arithmetic's width, where it does no harm and the processor has instructions for it.
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
    line_share: float = 0.0
    sensor_share: float = 0.0
    crop_columns: int = 0
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
