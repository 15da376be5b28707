"""A page with several classes without an order: trained, served by every door, explained, watched and reported."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pytest
from jsonschema import Draft202012Validator
from mlflow.pyfunc.model import PythonModelContext

import use_cases
from model_orchestration.batch.answers import AnswerFiles
from model_orchestration.batch.prediction_log import log_answers
from model_orchestration.batch.scoring import Scored
from model_orchestration.tables.outcomes import add_outcomes
from model_orchestration.tables.training_table import prepare, read_table
from model_orchestration.training.plots import Plots
from monitoring.evidently_service.challenger import answer_differences, to_array
from monitoring.evidently_service.site.page import columns, figures
from monitoring.evidently_service.windows.watch import Watch
from reporting.evidently_report import quality_report
from reporting.folder import ReportFolder
from reporting.reporter import Reporter
from scorehouse.errors import BundleError, TableError, UseCaseError
from scorehouse.journal.shipper import store_lines
from scorehouse.pages.loading import load_use_case
from scorehouse.scoring.quality import quality
from scorehouse.scoring.schema import Rejected
from scorehouse.serving.serving import Model
from scorehouse.stores.sqlite_reports import SqliteReports
from scorehouse.streams.packing import StreamRecord
from scorehouse.streams.records import score
from server.web.api.app import _csv_line
from simulation_business.traffic.traffic import generate_rows, read_rows, to_cases
from tests import doors, toy
from tests.doors import Door
from tests.toy import Toy

CLASSES = ("setosa", "Versicolor, pale", "virginica")
PAGE = '''
import numpy as np

from scorehouse.usecase import Envelope, Feature, UseCase

CLASSES = ("setosa", "Versicolor, pale", "virginica")


def sample(rows, seed, drift=0.0):
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 3, rows)
    petal = rng.normal(np.array([1.5, 4.3, 5.5])[kind] + drift, 0.6)
    sepal = rng.normal(np.array([5.0, 5.9, 6.6])[kind], 0.5)
    place = np.where(rng.random(rows) < 0.7, np.array(["bog", "shore", "shore"])[kind], "field")
    return {
        "number": np.arange(rows), "petal": petal.round(2), "sepal": sepal.round(2), "place": place,
        "species": np.array(CLASSES)[kind],
    }


use_case = UseCase(
    name="irises", version=1, title="Which species?", about="An iris.", source="Generated",
    features=(
        Feature(name="petal", kind="number", required=True, low=-10, high=20, help="Petal"),
        Feature(name="sepal", kind="number", required=True, low=-10, high=20, help="Sepal"),
        Feature(name="place", kind="category", categories=("bog", "shore", "field"), help="Place"),
    ),
    target="species", task="multiclass", classes=CLASSES, answer="kind", key="number", clean=lambda table: table,
    sample=sample, trials=2, envelope=Envelope(features="iris", answer="kind_of_iris"),
)
'''  # fmt: skip
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def irises(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Toy]:
    """The page's model, trained on its sample, with the default estimators."""
    folder = tmp_path_factory.mktemp("irises")
    (folder / "irises.py").write_text(PAGE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(use_cases, "__path__", [*use_cases.__path__, str(folder)])
        yield toy.train(folder / "bundle", use_case="irises", rows=2_000)


@pytest.fixture
def door(irises: Toy, tmp_path: Path) -> Door:
    """An HTTP door that serves the model."""
    opened, bundle = doors.empty_door(irises.use_case, tmp_path), irises.bundle()
    opened.serving.model = Model(bundle, bundle.scorer(irises.use_case))
    return opened


RECORD = {"petal": 1.4, "sepal": 5.0, "place": "bog"}


def chances_of(irises: Toy, records: list[dict[str, Any]]) -> np.ndarray:
    return np.array(irises.bundle().scorer(irises.use_case).score(records))


def test_the_model_gives_a_chance_to_every_class(irises: Toy) -> None:
    manifest = irises.bundle().manifest
    assert (manifest.format, tuple(manifest.classes), manifest.task) == (5, CLASSES, "multiclass")
    records = toy.records(irises.use_case, 200)
    chances = chances_of(irises, records)
    assert chances.shape == (200, 3)
    np.testing.assert_allclose(chances.sum(axis=1), 1, atol=1e-6)
    one_by_one = np.concatenate([chances_of(irises, [record]) for record in records[:20]])
    np.testing.assert_array_equal(one_by_one, chances[:20])
    own = irises.trained.model.predict(irises.training.encoder.rows(records))
    np.testing.assert_allclose(chances, own, atol=1e-5)
    assert manifest.quality["test_accuracy"] > 0.8
    assert {"test_log_loss", "test_macro_f1", "test_calibration_error", "oof_log_loss"} <= manifest.quality.keys()


def test_an_answer_names_the_class_and_all_chances(door: Door) -> None:
    answer = door.post("/predict", RECORD).json
    assert answer["kind"] == "setosa" and list(answer["chances"]) == list(CLASSES)
    assert answer["chances"]["setosa"] == max(answer["chances"].values())
    many = door.post("/predict", [RECORD, {"petal": "wide"}]).json
    assert (many[0]["kind"], many[0]["chances"]) == ("setosa", answer["chances"]) and "errors" in many[1]
    lines = [line for line in door.journalled() if line["kind"] == "prediction"]
    assert lines[0]["prediction"] == list(answer["chances"].values())


def test_every_door_gives_the_same_answer(door: Door, irises: Toy) -> None:
    expected = {k: v for k, v in door.post("/predict", RECORD).json.items() if k in {"kind", "chances"}}
    assert door.post("/invocations", [RECORD]).json == {"predictions": [expected]}
    table = door.client.post(
        "/invocations", json=[RECORD, {**RECORD, "petal": 4.3, "sepal": 5.9, "place": "shore"}],
        headers={"Accept": "text/csv"},
    )  # fmt: skip
    first, second = table.text.splitlines()
    assert first == ",".join(["setosa", *(orjson.dumps(c).decode() for c in expected["chances"].values())])
    assert second.startswith('"Versicolor, pale",')
    from model_orchestration.tracking.pyfunc_model import RecordModel

    model, context = RecordModel(), PythonModelContext({"bundle": str(irises.folder)}, {})
    model.load_context(context)
    assert model.predict(context, pd.DataFrame([RECORD])) == [expected]
    record: StreamRecord = {"SequenceNumber": "1", "PartitionKey": "k", "Data": b""}
    wrapped = {"iris": RECORD, "customer_id": 7}
    scored = score(door.serving, irises.use_case.envelope, "shard", [(record, RECORD), (record, wrapped)])
    plain, enveloped = (orjson.loads(entry["Data"]) for entry in scored.results)
    assert {k: plain[k] for k in expected} == expected
    assert enveloped["prediction"] == {
        "kind_of_iris": "setosa", "chances": expected["chances"], "customer_id": 7,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["a\nb", "a\r\nb", "\r", 'say "no", twice', " ", "=1+1", 7])
def test_a_class_is_one_field_of_csv_whatever_its_name(name: str | int) -> None:
    line = _csv_line([0.5, 0.25, 0.25], (name, "b", "c")).decode()
    assert list(csv.reader(io.StringIO(line, newline=""))) == [[str(name), "0.5", "0.25", "0.25"]]


def test_an_outcome_is_a_class(door: Door) -> None:
    id_ = door.post("/predict", RECORD).json["prediction_id"]
    assert door.post("/outcomes", {"prediction_id": id_, "outcome": "virginica"}).status_code == 202
    (line,) = [line for line in door.journalled() if line["kind"] == "outcome"]
    assert line["outcome"] == 2.0
    refused = door.post("/outcomes", {"prediction_id": id_, "outcome": "rose"})
    assert refused.status_code == 422
    assert refused.json["errors"][0]["problem"] == (
        "outcome must be one of 'setosa', 'Versicolor, pale', 'virginica'"
    )  # fmt: skip


def test_the_answered_class_is_explained(door: Door) -> None:
    answer = door.post("/explain", RECORD).json
    logs = np.log(list(answer["chances"].values()))
    whole = answer["base"] + sum(c["contribution"] for c in answer["contributions"])
    assert whole == pytest.approx(logs[0] - logs.mean(), abs=1e-3)
    assert answer["scale"] == "logarithm of the chance"


def test_answers_are_as_the_documentation_says(door: Door) -> None:
    document = door.client.get("/openapi.json").json
    id_ = door.post("/predict", RECORD).json["prediction_id"]
    for path, status, body in (
        ("/predict", 200, RECORD),
        ("/predict", 200, [RECORD]),
        ("/explain", 200, RECORD),
        ("/invocations", 200, [RECORD]),
        ("/outcomes", 202, {"prediction_id": id_, "outcome": "setosa"}),
    ):
        answer = door.post(path, body)
        assert answer.status_code == status
        schema = document["paths"][path]["post"]["responses"][str(status)]["content"]["application/json"]["schema"]
        Draft202012Validator({**schema, "components": document["components"]}).validate(answer.json)
    request = document["paths"]["/outcomes"]["post"]["requestBody"]["content"]["application/json"]
    assert request["examples"]["one"]["value"]["outcome"] == "setosa"
    assert "likeliest class" in door.client.get("/docs").text


def test_the_card_shows_which_classes_are_confused(door: Door, irises: Toy) -> None:
    confusion = np.array(irises.bundle().manifest.confusion)
    assert confusion.sum() == irises.bundle().manifest.rows["test"]
    assert np.trace(confusion) / confusion.sum() == pytest.approx(irises.trained.quality["test_accuracy"])
    page = door.client.get("/").text
    assert "Macro F1" in page and "Which classes are confused" in page
    share = confusion[1, 1] / confusion[1].sum()
    assert f'<td data-share="{round(share, 3)}">{share:.0%}</td>' in page


def documents(irises: Toy, records: list[dict[str, Any]], first: int = 1) -> list[dict[str, Any]]:
    chances = irises.bundle().scorer(irises.use_case).score(records)
    return [
        {
            "kind": "prediction", "seq": n, "prediction_id": f"p{n}", "use_case": "irises", "record": record,
            "model_run_id": toy.RUN_ID, "created_at": (NOON + timedelta(seconds=n)).isoformat(), "door": "http",
            "prediction": prediction, "customer_id": None,
        }
        for n, (record, prediction) in enumerate(zip(records, chances, strict=True), first)
    ]  # fmt: skip


def outcome(n: int, place: int) -> dict[str, Any]:
    return {
        "kind": "outcome", "prediction_id": f"p{n}", "use_case": "irises", "outcome": float(place),
        "outcome_at": "2026-11-21T18:00:00+00:00", "seq": n,
    }  # fmt: skip


@pytest.mark.parametrize("drift", [0.0, 1.0])
def test_the_monitor_sees_the_drift_of_classes_and_chances_and_estimates_the_quality(irises: Toy, drift: float) -> None:
    table = toy.table(irises.use_case, 600, seed=3, drift=drift)
    watch = Watch(irises.bundle(), irises.use_case)
    given = documents(irises, table.records)
    watch.take(given)
    watch.evaluate()
    assert watch.evaluation is not None
    names = [v.name for v in watch.evaluation.verdict.columns]
    assert names[-4:] == ["prediction", *(f"chance_of_{name}" for name in CLASSES)]
    # The chance of setosa hardly moves, and drift of predictions forgives a tenth of their standard deviation.
    moved = {"petal", "prediction", "chance_of_Versicolor, pale", "chance_of_virginica"}
    assert set(watch.evaluation.drifting) - {"chance_of_setosa"} == (moved if drift else set())
    watch.take_outcomes([{**d, **outcome(d["seq"], int(t))} for d, t in zip(given, table.truth, strict=True)])
    assert watch.quality["accuracy"] == pytest.approx(
        np.mean(np.argmax([d["prediction"] for d in given], axis=1) == table.truth)
    )
    if not drift:
        assert watch.evaluation.estimate["accuracy"] == pytest.approx(watch.quality["accuracy"], abs=0.05)
        assert watch.evaluation.estimate["log_loss"] == pytest.approx(watch.quality["log_loss"], abs=0.12)
    restored = Watch(irises.bundle(), irises.use_case)
    restored.restore(orjson.loads(orjson.dumps(watch.to_json())))
    assert restored.quality == watch.quality
    np.testing.assert_array_equal(restored.window.predictions, watch.window.predictions)
    cards = {card.name: card for card in columns(watch, watch.evaluation, irises.use_case)}
    assert cards["chance_of_virginica"].help == "The chance of virginica"
    assert "Versicolor, pale" in str(cards["prediction"].histogram)
    assert "accuracy" in [row.label for row in figures(watch)]


def test_the_store_gives_back_the_chances_and_the_report_says_how_good_they_were(irises: Toy, tmp_path: Path) -> None:
    store = SqliteReports(tmp_path / "predictions.db")
    table = toy.table(irises.use_case, 400, seed=4)
    given = documents(irises, table.records)
    outcomes = [outcome(n, int(place)) for n, place in enumerate(table.truth, 1)]
    lines = [orjson.dumps({k: v for k, v in line.items() if k != "seq"}) for line in (*given, *outcomes)]
    assert store_lines(store, lines) == []
    assert store.predictions_after("irises", 0, 1)[0]["prediction"] == given[0]["prediction"]

    class Cache:
        def resolve(self, use_case: str, run_id: str) -> str:
            return run_id

        def load(self, version: str) -> Any:
            return irises.bundle()

    cache: Any = Cache()
    reporter = Reporter(
        store, cache, ReportFolder(tmp_path / "reports"), {}, 5000, clock=lambda: NOON.timestamp() + 7200,
        load=lambda _: irises.use_case, challengers={"irises": "another"},
    )  # fmt: skip
    (report,) = reporter.report(reporter.span(120, NOON + timedelta(hours=2)))
    assert report["state"] == "quiet" and not any("challenger" in notice for notice in report["notices"])
    assert report["quality"]["figures"]["accuracy"] > 0.8
    assert set(report["evidently"]) == {"drift", "quality"}
    assert report["challenger"]["difference"]["p99_absolute"] == 0
    page = gzip.decompress((tmp_path / "reports" / f"{report['id']}.html.gz").read_bytes()).decode()
    assert "chance_of_virginica" in page and "The chance of virginica" in page


def test_a_class_may_have_the_name_of_a_column_of_evidentlys_page(irises: Toy) -> None:
    bundle = irises.bundle()
    manifest = bundle.manifest.model_copy(update={"classes": ["true class", "predicted class", "prediction"]})
    known = bundle.reference.truth[:60], bundle.reference.predictions[:60]
    page, problem = quality_report(manifest, known, known)
    assert page is not None and not problem


def test_batch_writes_the_class_and_the_chances_and_logs_them(irises: Toy, tmp_path: Path) -> None:
    records = toy.records(irises.use_case, 50)
    manifest = irises.bundle().manifest
    chances = chances_of(irises, records)
    chances[7] = np.nan
    chunk = pa.Table.from_pylist(records)
    rejected = irises.bundle().scorer(irises.use_case).score([{}])[0]
    assert isinstance(rejected, Rejected)
    with AnswerFiles(tmp_path, chunk.schema, irises.use_case.features, {}, manifest, "species") as files:
        files.add(chunk, np.arange(50), Scored(chances, {7: rejected}), [f"b{n}" for n in range(50)])
    files.check()
    written = pd.read_parquet(files.scored)
    assert len(written) == 49 and set(written["kind"]) == set(CLASSES)
    assert written["chance_of_virginica"].tolist() == np.delete(chances[:, 2], 7).tolist()
    store = SqliteReports(tmp_path / "predictions.db")
    assert log_answers(store, files.scored, manifest, irises.use_case.features, NOON) == 0
    assert store.predictions_after("irises", 0, 1)[0]["prediction"] == chances[0].tolist()


def test_the_plots_show_confusion_and_calibration(irises: Toy, tmp_path: Path) -> None:
    Plots(tmp_path).draw(irises.training, irises.trained, list(irises.training.search(2)))
    assert {p.stem for p in tmp_path.glob("*.png")} == {"search", "importance", "confusion", "calibration"}


def test_a_wrong_class_in_a_training_table_is_named(irises: Toy) -> None:
    table = pd.DataFrame(irises.use_case.draw_sample(60, 1))
    table["species"] = table["species"].str.upper()  # another case is the same class
    assert len(prepare(table, irises.use_case).truth) == 60
    table.loc[4, "species"] = "virginicca"
    wanted = r"species: 1 of 60 .*row 5, 'virginicca', is not one of .*did you mean 'virginica'"
    with pytest.raises(TableError, match=wanted):
        prepare(table, irises.use_case)


def test_a_run_with_other_classes_is_refused(irises: Toy) -> None:
    more = replace(irises.use_case, classes=(*CLASSES, "sibirica"))
    irises.bundle().scorer(more)  # a class at the end changes no place
    with pytest.raises(BundleError, match="put new classes at the end, or give the use case another name"):
        irises.bundle().scorer(replace(irises.use_case, classes=("sibirica", *CLASSES)))


def test_champion_and_challenger_differ_in_the_chance_of_the_champions_class() -> None:
    champion = np.array([[0.6, 0.3, 0.1], [0.2, 0.2, 0.6]])
    challenger = np.array([[0.5, 0.4, 0.1], [0.1, 0.1, 0.8]])
    found = answer_differences(champion, challenger)
    assert found["mean"] == pytest.approx(0.05) and found["mean_absolute"] == pytest.approx(0.15)
    newer = np.column_stack([champion, [0.0, 0.0]])  # and one of them knows a class more
    assert answer_differences(newer, challenger) == found
    assert answer_differences(champion, np.column_stack([challenger, [0.0, 0.0]])) == found
    lost = answer_differences(np.array([[0.1, 0.1, 0.1, 0.7]]), np.array([[0.2, 0.2, 0.6]]))
    assert lost["mean"] == pytest.approx(-0.7)


def test_answers_of_runs_with_fewer_classes_are_compared_with_those_of_newer_runs() -> None:
    given = to_array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.1, 0.7]])
    np.testing.assert_array_equal(given, [[0.5, 0.3, 0.2, 0], [0.1, 0.1, 0.1, 0.7]])
    np.testing.assert_array_equal(to_array([0.5, 0.25]), [0.5, 0.25])


def test_a_run_that_does_not_know_a_new_class_is_judged_as_if_it_gave_it_no_chance() -> None:
    truth, chances = np.array([0, 1, 2, 3, 3]), np.array([[0.8, 0.1, 0.1]] * 5)
    old = quality("multiclass", truth, chances)
    assert old == pytest.approx(quality("multiclass", truth, np.column_stack([chances, np.zeros(5)])))
    assert {"log_loss", "auc", "accuracy", "macro_f1"} <= old.keys()
    assert old["log_loss"] > quality("multiclass", truth, np.array([[0.7, 0.1, 0.1, 0.1]] * 5))["log_loss"]


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        ("()", 'the task "multiclass" needs classes, three or more'),
        ('("a", "b")', 'or task="binary" for two'),
        ('("a", "b", "B")', "the classes 'b', 'B' read the same in a table: keep one"),
        ('("a", "b", "c ")', "the class 'c ' has blanks at an end: write 'c'"),
        ('("a", "b", "?"), missing=("?",)', "missing has '?', which is a category of 'species': remove it from one"),
        ("tuple(map(str, range(101)))", "there are 101 classes, but at most 100 can be answered"),
    ],
)
def test_a_mistake_in_the_classes_is_one_line(
    classes: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"irises{abs(hash(classes)) % 10**9}"
    source = PAGE.replace('name="irises"', f'name="{name}"').replace("classes=CLASSES", f"classes={classes}")
    (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.setattr(use_cases, "__path__", [*use_cases.__path__, str(tmp_path)])
    with pytest.raises(UseCaseError) as refused:
        load_use_case(name)
    assert said in str(refused.value)


@pytest.mark.parametrize("classes", [("01", "1", "2"), ("NA", "nan", "b"), ("1.0", "1,000", "x"), (1, 2, "NA")])
def test_classes_that_look_like_numbers_or_gaps_are_read_from_a_file_as_they_are(
    irises: Toy, classes: tuple[str | int, ...], tmp_path: Path
) -> None:
    use_case = replace(irises.use_case, classes=classes)
    table = pd.DataFrame(irises.use_case.draw_sample(60, 1))
    table["species"] = [classes[i % 3] for i in range(60)]
    table.to_csv(file := tmp_path / "irises.csv", index=False)
    assert prepare(read_table(str(file), use_case), use_case).truth.tolist() == [i % 3 for i in range(60)]
    sent = islice(read_rows(use_case, file, Random(1)), 60)
    assert sorted(row.outcome for row in sent) == sorted(i % 3 for i in range(60))


def test_an_outcome_of_a_class_that_no_row_of_the_table_has_is_learnt(irises: Toy) -> None:
    table = toy.table(irises.use_case, 60)
    more = replace(irises.use_case, classes=(*CLASSES, "sibirica"))
    known = [{**d, **outcome(d["seq"], 2 + d["seq"])} for d in documents(irises, table.records[:3], first=0)]
    learnt = add_outcomes(table, more, known)
    assert learnt.truth[60:].tolist() == [2, 3]


def test_the_simulators_send_the_class_as_the_outcome(irises: Toy) -> None:
    rows = generate_rows(irises.use_case, 3)
    cases = list(islice(to_cases(irises.use_case, rows, 3), 300))
    assert {case.outcome for case in cases} == set(CLASSES)
