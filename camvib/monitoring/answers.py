"""What engineers said, in the ledger: rows are added, never changed."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from camvib.monitoring.clock import now_text, utc_text
from camvib.monitoring.database import Database
from camvib.monitoring.tables import AnswerRow, clean
from camvib.records import Answer


class Answers:
    """The part of `camvib.monitoring.ledger.Store` that keeps answers."""

    database: Database

    def add_answers(self, answers: Sequence[Answer]) -> int:
        """Add answers; one whose key is there already is passed over.

        Returns
        -------
        int
            How many are new.
        """
        rows = [{**clean(vars(answer)), "at": utc_text(answer.at), "stored_at": now_text()} for answer in answers]
        adding = self.database.insert_into(AnswerRow).on_conflict_do_nothing().returning(AnswerRow.id)

        def once(connection: Connection) -> int:
            return len(connection.execute(adding, rows).all())

        return self.database.do(once) if rows else 0

    def answers(self, asset: str | None = None, case_id: int | None = None) -> list[Answer]:
        """Answers in the order in which they came, by default all."""
        query = select(AnswerRow.__table__).order_by(AnswerRow.id)
        if asset is not None:
            query = query.where(AnswerRow.asset == asset)
        if case_id is not None:
            query = query.where(AnswerRow.case_id == case_id)
        names = list(Answer.__dataclass_fields__)
        return [Answer(**{name: getattr(row, name) for name in names}) for row in self.database.rows(query)]
