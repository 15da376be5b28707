"""The SQLite store for reports: reads predictions by time, and has a table `report`."""

from __future__ import annotations

from datetime import datetime

import orjson

from scorehouse.stores.sqlite_store import SqliteStore
from scorehouse.stores.store import Answered, Document

_ANSWERED = """SELECT use_case, model_run_id, count(*) FROM predictions
  WHERE created_at >= ? AND created_at < ? AND +test = 0 GROUP BY use_case, model_run_id"""


class SqliteReports(SqliteStore):
    """Times are compared as text: all are ISO 8601 in UTC, and windows begin and end at whole seconds."""

    def answered_between(self, since: datetime, until: datetime) -> list[Answered]:
        with self._available():
            found = self._db.execute(_ANSWERED, [since.isoformat(), until.isoformat()]).fetchall()
        return sorted(Answered(*row) for row in found)

    def newest_between(
        self, run: Answered, since: datetime, until: datetime, limit: int, with_outcome: bool = False
    ) -> list[Document]:
        known = "AND outcome IS NOT NULL " if with_outcome else ""
        where = f"use_case = ? AND model_run_id = ? AND +test = 0 AND created_at >= ? AND created_at < ? {known}"
        values = (run.use_case, run.run_id, since.isoformat(), until.isoformat(), limit)
        return self._read(f"{where}ORDER BY created_at DESC, seq DESC LIMIT ?", *values)[::-1]

    def save_report(self, report: Document) -> None:
        row = [report["id"], report["until"], orjson.dumps(report).decode()]
        with self._transaction():
            self._db.execute("INSERT OR REPLACE INTO report VALUES (?, ?, ?)", row)

    def reports(self, limit: int) -> list[Document]:
        with self._available():
            query = "SELECT content FROM report ORDER BY until DESC, id LIMIT ?"
            return [orjson.loads(row[0]) for row in self._db.execute(query, [limit])]

    def forget_reports(self, before: datetime) -> None:
        with self._transaction():
            self._db.execute("DELETE FROM report WHERE until < ?", [before.isoformat()])
