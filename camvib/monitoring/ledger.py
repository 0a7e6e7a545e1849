"""The ledger: each recording is diagnosed once by each model with each settings, whatever is killed when.

A diagnosis is done when its row is there. Its evidence file is written first, under a temporary name, then renamed,
and its row comes in the diagnosis's own transaction; so a kill leaves neither, or a file that nothing points to.
The newest verdict of a recording counts (`DiagnosisRow.current`); the older ones are its history.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from camvib.errors import StoreError
from camvib.monitoring.answers import Answers
from camvib.monitoring.clock import now_text
from camvib.monitoring.database import Database, is_url
from camvib.monitoring.evidence_folder import EvidenceFolder
from camvib.monitoring.histories import Histories
from camvib.monitoring.kept_baselines import KeptBaselines
from camvib.monitoring.tables import ModelRow
from camvib.monitoring.verdicts import Verdicts
from camvib.settings import home


class Store(Verdicts, EvidenceFolder, KeptBaselines, Answers, Histories):
    """Diagnoses in a database, their evidence as files beside it.

    Parameters
    ----------
    url : str or Path
        Path of an SQLite file, or ``postgresql://user@host/database``.
    evidence : Path, optional
        Folder of the evidence files; by default ``evidence/`` beside an SQLite file, and for a database by URL what
        CAMVIB_EVIDENCE says, else ``evidence/`` in camvib's home. Machines that share a database share this folder.

    Raises
    ------
    StoreError
        The database cannot be opened, is of another program, or a newer camvib wrote it.
    """

    def __init__(self, url: str | Path, evidence: Path | None = None) -> None:
        self.url = str(url) if is_url(url) else str(Path(url).expanduser().resolve())
        self.folder = evidence or _evidence_folder(self.url)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if not self.folder.is_dir():  # a store that may only be read is read
                raise StoreError(f"{self.folder}: {error.strerror}", "Name a folder that can be made") from error
        self.database = Database(self.url, self.folder)

    def note_model(self, digest: str, version: str, card: Mapping[str, Any]) -> None:
        """Remember a model that gives verdicts, and its version in the registry once it is known."""
        values = {"version": version, "card": dict(card), "first_used_at": now_text()}
        adding = self.database.insert_into(ModelRow).values(digest=digest, **values)
        renewed = {"version": version, "card": dict(card)}
        statement = (
            adding.on_conflict_do_update(index_elements=["digest"], set_=renewed)
            if version
            else (adding.on_conflict_do_nothing())
        )

        self.database.do(lambda connection: connection.execute(statement))


def _evidence_folder(url: str) -> Path:
    if not is_url(url):
        return Path(url).parent / "evidence"
    return Path(os.environ.get("CAMVIB_EVIDENCE", home() / "evidence")).resolve()
