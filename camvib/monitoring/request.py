"""What a run is asked for, as plain values: the same for the command line, a deployment's parameters and a cluster."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from camvib.diagnosis.verdict import BASELINE_COMMAND
from camvib.errors import SettingsError
from camvib.monitoring.batch import Options
from camvib.monitoring.cases import CasePolicy
from camvib.monitoring.claims import LEASE_S
from camvib.monitoring.discovery import Discovery
from camvib.monitoring.workers import Limits
from camvib.records import Declared


class _Plain(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CaseSettings(_Plain):
    """When a case opens; see `camvib.monitoring.cases.CasePolicy`."""

    k: int = Field(2, ge=1)
    n: int = Field(3, ge=1)
    alert_probability: float = Field(0.6, ge=0, le=1)
    clear_probability: float = Field(0.4, ge=0, le=1)
    delay_s: float = Field(0.0, ge=0)
    clear_after: int = Field(6, ge=1)
    latch: bool = True
    families: dict[str, str] = Field(default_factory=dict)
    criticality: dict[str, float] = Field(default_factory=dict)


class BatchSettings(_Plain):
    """How a run diagnoses, see `camvib.monitoring.batch.Options`; and whom it tells.

    Attributes
    ----------
    notify : tuple of str
        URLs of notifiers, see `camvib.monitoring.notifiers`.
    fail_above : float
        Share of refusals among what is new above which a run fails; 1 fails it where everything was refused.
    """

    channel: str | None = None
    unit: str | None = None
    sampling_rate_hz: float | None = Field(None, gt=0)
    asset: str = ""
    asset_from: str = ""
    settle_s: float = Field(0.0, ge=0)
    allow_resample: bool = False
    workers: int | None = Field(None, ge=0)
    time_limit_s: float = Field(120.0, gt=0)
    memory_limit_mib: int = Field(2048, ge=64)
    spool_limit_mib: int = Field(4096, ge=1)
    lease_s: float = Field(LEASE_S, ge=1)
    beside: bool = False
    cases: CaseSettings = Field(default_factory=CaseSettings)
    notify: tuple[str, ...] = ()
    fail_above: float = Field(1.0, ge=0, le=1)

    @classmethod
    def of(cls, given: dict[str, object] | None) -> BatchSettings:
        """Check values.

        Raises
        ------
        SettingsError
            One is not known or out of range.
        """
        try:
            return cls.model_validate(given or {})
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise SettingsError(
                f"{where}: {first['msg']}", f"Options of a run are {', '.join(cls.model_fields)}"
            ) from error

    def options(self, baseline_command: str = BASELINE_COMMAND) -> Options:
        """The same for `camvib.monitoring.batch`."""
        return Options(
            discovery=Discovery(
                Declared(self.channel, self.unit, self.sampling_rate_hz), self.asset, self.asset_from, self.settle_s
            ),
            allow_resample=self.allow_resample,
            workers=self.workers,
            limits=Limits(self.time_limit_s, self.memory_limit_mib, self.spool_limit_mib),
            current=not self.beside,
            cases=CasePolicy(**self.cases.model_dump()),
            baseline_command=baseline_command,
            lease_s=self.lease_s,
        )

    def fails(self, refused_share: float) -> bool:
        """Whether so many refusals fail a run."""
        return refused_share > self.fail_above or refused_share == 1.0


class BatchJob(_Plain):
    """A run with a model that is pinned: what the tasks of a flow pass on, wherever they run.

    Attributes
    ----------
    sources : tuple of str
        Absolute paths, or URLs.
    model : str
        Folder.
    asked : str
        The model as it was named, and its version where it has one.
    store, evidence : str
        See `camvib.monitoring.ledger.Store`.
    settings : BatchSettings
    """

    sources: tuple[str, ...]
    model: str
    asked: str = ""
    version: str = ""
    store: str
    evidence: str
    settings: BatchSettings = Field(default_factory=BatchSettings)

    @property
    def model_folder(self) -> Path:
        """Where the model lies."""
        return Path(self.model)
