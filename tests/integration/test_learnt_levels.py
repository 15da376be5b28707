"""A page with a category of hundreds of levels that no page lists: trained, served, explained and watched."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pytest
from mlflow.pyfunc.model import PythonModelContext

import use_cases
from model_orchestration.batch.records import to_records, to_typed_column
from monitoring.evidently_service.drift.observed import RunColumns
from monitoring.evidently_service.drift.reference import RunReference
from monitoring.evidently_service.drift.verdict import judge
from monitoring.evidently_service.site.page import code_labels, columns
from monitoring.evidently_service.windows.watch import Watch
from reporting.comparison import _unseen
from reporting.folder import ReportFolder
from reporting.reporter import Reporter
from scorehouse.journal.shipper import store_lines
from scorehouse.serving.serving import Model
from scorehouse.stores.sqlite_reports import SqliteReports
from scorehouse.tables.cells import PLAIN
from server.web.site.examples import random_record
from tests import doors, toy
from tests.doors import Door
from tests.toy import Toy

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
PAGE = '''
import numpy as np

from scorehouse.usecase import Feature, UseCase

FEATURES = (
    Feature(name="rooms", kind="integer", required=True, low=0, high=100, help="Rooms", example=3),
    Feature(name="zip", kind="category", levels="learnt", required=True, help="Zip code", example="00042"),
    Feature(name="agent", kind="category", levels="learnt", help="Agent, who does not matter", example="a7"),
)


def sample(rows, seed, drift=0.0):
    rng = np.random.default_rng(seed)
    zips = np.where(rng.random(rows) < drift, rng.integers(250, 300, rows), rng.integers(0, 300, rows))
    rooms = rng.integers(1, 8, rows)
    price = 10.0 * rooms + zips + rng.normal(0, 5, rows)
    return {
        "number": np.arange(rows), "rooms": rooms, "zip": np.char.zfill(zips.astype(str), 5),
        "agent": np.char.add("a", rng.integers(0, rows // 2, rows).astype(str)), TARGET: OUTCOME,
    }


use_case = UseCase(
    name="NAME", version=1, title="What does it cost?", about="A house.", source="Generated", features=FEATURES,
    target=TARGET, key="number", clean=lambda table: table, sample=sample, trials=2, mask_optional=0.2, MORE,
)
'''  # fmt: skip
PRICES = PAGE.replace("MORE", 'task="amount", answer="price"').replace("NAME", "prices")
PRICES = PRICES.replace("TARGET", '"price"').replace("OUTCOME", "price")
BANDS = PAGE.replace("MORE", 'task="multiclass", answer="band", classes=("low", "middle", "high")')
BANDS = BANDS.replace("NAME", "bands").replace("TARGET", '"band"')
BANDS = BANDS.replace("OUTCOME", 'np.array(["low", "middle", "high"])[np.digitize(price, [130, 230])]')


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("pages")
    (folder / "prices.py").write_text(PRICES)
    (folder / "bands.py").write_text(BANDS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(use_cases, "__path__", [*use_cases.__path__, str(folder)])
        yield folder


@pytest.fixture(scope="module")
def prices(folder: Path) -> Toy:
    return toy.train(folder / "bundle", use_case="prices", rows=3_000)


@pytest.fixture(scope="module")
def bands(folder: Path) -> Toy:
    return toy.train(folder / "bands", use_case="bands", rows=2_000)


def open_door(model: Toy, folder: Path) -> Door:
    opened, bundle = doors.empty_door(model.use_case, folder), model.bundle()
    opened.serving.model = Model(bundle, bundle.scorer(model.use_case))
    return opened


@pytest.fixture
def door(prices: Toy, tmp_path: Path) -> Door:
    return open_door(prices, tmp_path)


def price(door: Door, zip_code: Any) -> float:
    answer = door.client.post("/predict", json={"rooms": 3, "zip": zip_code, "agent": "a1"})
    assert answer.status_code == 200, answer.text
    return float(answer.json["price"])


def test_the_model_knows_what_each_level_says(prices: Toy, door: Door) -> None:
    assert prices.bundle().manifest.format == 6
    assert price(door, "00020") == pytest.approx(50, abs=25)
    assert price(door, "00280") == pytest.approx(310, abs=25)
    assert prices.trained.quality["test_rmse"] < 20  # 87 without the zip code


def test_the_levels_that_do_not_matter_do_not_disturb(prices: Toy) -> None:
    shares = prices.trained.model.importance()
    assert shares is not None
    assert dict(zip(prices.training.encoder.names, shares, strict=True))["agent"] < 0.02
    assert prices.trained.quality["oof_rmse"] > 0.9 * prices.trained.quality["test_rmse"]  # no row saw its own price


def test_an_unknown_level_counts_as_missing(door: Door) -> None:
    assert price(door, "99999") == price(door, None) == price(door, "no zip at all") == price(door, "")


@pytest.mark.parametrize("wrong", ["x" * 129, 1.5, True, ["00042"]])
def test_what_no_level_can_be_is_refused(door: Door, wrong: Any) -> None:
    answer = door.client.post("/predict", json={"rooms": 3, "zip": wrong})
    assert answer.status_code == 422
    assert answer.json["errors"][0]["allowed"] == "text of at most 128 characters, or a whole number, or null"


def test_every_door_reads_a_level_alike(prices: Toy, door: Door) -> None:
    from model_orchestration.tracking.pyfunc_model import RecordModel

    expected = price(door, "00280")
    table = door.client.post("/invocations", data="rooms,zip,agent\n3,00280,a1\n", content_type="text/csv")
    assert table.json["predictions"] == [expected]
    model, context = RecordModel(), PythonModelContext({"bundle": str(prices.folder)}, {})
    model.load_context(context)
    assert model.predict(context, pd.DataFrame({"rooms": [3], "zip": ["00280"], "agent": ["a1"]})) == [expected]


def test_the_form_takes_text_and_an_explanation_shows_it(door: Door) -> None:
    page = unescape(door.client.get("/").text)
    assert 'value="00042"' in page
    assert 'type="text" maxlength="128"' in page
    found = {
        c["feature"]: c for c in door.client.post("/explain", json={"rooms": 3, "zip": "00280"}).json["contributions"]
    }
    assert found["zip"]["value"] == "00280"
    assert found["zip"]["contribution"] > 50


def test_the_documentation_and_the_schema_say_what_is_allowed(door: Door) -> None:
    schema = door.client.get("/openapi.json").json["components"]["schemas"]
    (field,) = [
        s["properties"]["zip"]
        for s in schema.values()
        if "zip" in s.get("properties", {}) and "rooms" in s["properties"]
    ][:1]
    assert field["anyOf"][0]["maxLength"] == 128
    assert door.client.get("/docs").status_code == 200


def test_a_random_example_has_a_level_of_the_table(prices: Toy) -> None:
    rng = np.random.default_rng(0)
    records = [random_record(prices.bundle(), rng) for _ in range(20)]
    assert all(r["zip"] is None or str(r["zip"]).startswith("00") for r in records)


def documents(model: Toy, records: list[dict[str, Any]]) -> list[Any]:
    predictions = model.bundle().scorer(model.use_case).score(records)
    return [
        {
            "kind": "prediction", "seq": n, "prediction_id": f"p{n}", "use_case": model.use_case.name,
            "record": record, "model_run_id": toy.RUN_ID, "created_at": (NOON + timedelta(seconds=n)).isoformat(),
            "door": "http", "prediction": prediction, "customer_id": None,
        }
        for n, (record, prediction) in enumerate(zip(records, predictions, strict=True), 1)
    ]  # fmt: skip


@pytest.mark.parametrize(("drift", "drifting"), [(0.0, set()), (0.8, {"zip"})])
def test_the_monitor_compares_what_levels_say(prices: Toy, drift: float, drifting: set[str]) -> None:
    bundle = prices.bundle()
    compared = RunColumns(bundle, prices.use_case)
    assert dict(compared.columns) == {"rooms": "number", "zip": "number", "agent": "number"}
    assert code_labels(bundle, "zip", None) == {}
    sent = documents(prices, toy.records(prices.use_case, 500, seed=3, drift=drift))
    verdict = judge(*RunReference(bundle.reference, compared).tables(compared.observe(sent)))
    assert {c.name for c in verdict.columns if c.drifted} - {"prediction", "agent"} == drifting


def test_records_of_unknown_levels_are_counted(prices: Toy) -> None:
    sent = documents(
        prices, [{"rooms": 3, "zip": "00042"}, {"rooms": 3, "zip": "elsewhere"}, {"rooms": 3, "zip": None}]
    )
    assert _unseen(sent, prices.bundle()) == {"zip": 1}


def test_several_classes_learn_a_column_for_each_class(bands: Toy, tmp_path: Path) -> None:
    assert bands.training.encoder.names[:4] == ["rooms", "zip (low)", "zip (middle)", "zip (high)"]
    door = open_door(bands, tmp_path)
    answer = door.client.post("/predict", json={"rooms": 3, "zip": "00290"})
    assert answer.json["band"] == "high"
    explained = door.client.post("/explain", json={"rooms": 3, "zip": "00290"}).json["contributions"]
    assert {c["value"] for c in explained if c["feature"].startswith("zip")} == {"00290"}
    assert door.client.get("/").status_code == 200
    compared = RunColumns(bands.bundle(), bands.use_case)
    sent = documents(bands, toy.records(bands.use_case, 300, seed=3))
    observed = compared.observe(sent)
    assert observed.rows.shape == (300, 7)
    assert list(compared.optional) == [False] * 4 + [True] * 3


@pytest.mark.parametrize("name", ["prices", "bands"])
def test_monitor_and_report_show_what_levels_say_as_numbers(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    model: Toy = request.getfixturevalue(name)
    bundle = model.bundle()
    watch = Watch(bundle, model.use_case)
    sent = documents(model, toy.records(model.use_case, 400, seed=5, drift=0.8))
    watch.take(sent)
    watch.evaluate()
    assert watch.evaluation is not None
    cards = {card.name: card for card in columns(watch, watch.evaluation, model.use_case)}
    learnt = [column.name for column in bundle.encoder.columns if column.source == "zip"]
    assert {*learnt} <= {*cards}
    assert {*learnt} & {*watch.evaluation.drifting}

    cache: Any = SimpleNamespace(resolve=lambda _, run_id: run_id, load=lambda _: bundle)
    store = SqliteReports(tmp_path / "predictions.db")
    lines = [orjson.dumps({k: v for k, v in line.items() if k != "seq"}) for line in sent]
    assert store_lines(store, lines) == []
    reporter = Reporter(
        store, cache, ReportFolder(tmp_path / "reports"), {}, 5000, clock=lambda: NOON.timestamp() + 7200,
        load=lambda _: model.use_case,
    )  # fmt: skip
    (report,) = reporter.report(reporter.span(120, NOON + timedelta(hours=2)))
    page = gzip.decompress((tmp_path / "reports" / f"{report['id']}.html.gz").read_bytes()).decode()
    assert all(column in page for column in learnt)


def test_batch_hands_levels_on_as_text(prices: Toy, tmp_path: Path) -> None:
    chunk = pa.table({"rooms": ["3", "4"], "zip": ["00280", "nowhere"], "agent": ["a1", "a2"]})
    given = {"rooms": PLAIN, "zip": PLAIN, "agent": PLAIN}
    read = to_records(chunk, prices.use_case.features, given)
    assert read[0] == {"rooms": 3, "zip": "00280", "agent": "a1"}
    features = {f.name: f for f in prices.use_case.features}
    assert to_typed_column(chunk["zip"].combine_chunks(), features["zip"], given).to_pylist() == ["00280", "nowhere"]
