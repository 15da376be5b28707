"""The MongoDB store for reports: reads predictions by time, and has a collection `report`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from scorehouse.stores.mongo_documents import NO_OUTCOME, SHOWN
from scorehouse.stores.mongo_store import MongoStore
from scorehouse.stores.store import Answered, Document

COLLECTION = "report"


class MongoReports(MongoStore):
    """Reports are documents whose `_id` is the report's id."""

    def answered_between(self, since: datetime, until: datetime) -> list[Answered]:
        steps: list[dict[str, Any]] = [
            {"$match": {"test": False, "created_at": {"$gte": since, "$lt": until}}},
            {"$group": {"_id": {"use_case": "$use_case", "run": "$model_run_id"}, "records": {"$sum": 1}}},
        ]
        with self._available():
            found = list(self._predictions.aggregate(steps))
        return sorted(Answered(g["_id"]["use_case"], g["_id"]["run"], int(g["records"])) for g in found)

    def newest_between(
        self, run: Answered, since: datetime, until: datetime, limit: int, with_outcome: bool = False
    ) -> list[Document]:
        asked: dict[str, Any] = {
            "use_case": run.use_case,
            "model_run_id": run.run_id,
            "test": False,
            "created_at": {"$gte": since, "$lt": until},
        }
        if with_outcome:
            asked["outcome"] = {"$exists": True}
        with self._available():
            found = list(self._predictions.find(asked, SHOWN).sort("created_at", -1).limit(limit))
        return [{**NO_OUTCOME, **p, "created_at": p["created_at"].isoformat()} for p in reversed(found)]

    def save_report(self, report: Document) -> None:
        with self._available():
            self._collection.replace_one({"_id": report["id"]}, report, upsert=True)

    def reports(self, limit: int) -> list[Document]:
        with self._available():
            return list(self._collection.find({}, {"_id": False}).sort([("until", -1), ("_id", 1)]).limit(limit))

    def forget_reports(self, before: datetime) -> None:
        with self._available():
            self._collection.delete_many({"until": {"$lt": before.isoformat()}})

    @property
    def _collection(self) -> Any:
        return self._predictions.database[COLLECTION]
