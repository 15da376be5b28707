"""A bundle is loaded as it was written, or refused with the reason."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from scorehouse.bundles import bundle
from scorehouse.bundles.bundle import FORMAT, MANIFEST, ONNX, REFERENCE, TOLERANCE
from scorehouse.bundles.reference import Reference
from scorehouse.errors import BundleError, CacheUnavailable
from scorehouse.pages.loading import load_use_case
from scorehouse.scoring import derivation
from scorehouse.scoring.encoding import Encoder
from scorehouse.usecase import Feature
from tests.unit.toy import RUN_ID, Toy


@pytest.fixture
def folder(toy: Toy, tmp_path: Path) -> Path:
    """A copy of the toy's bundle that may be damaged."""
    return Path(shutil.copytree(toy.folder, tmp_path / RUN_ID))


def rewrite(folder: Path, change: Callable[[dict[str, Any]], None], files: dict[str, bytes] | None = None) -> None:
    """Change the manifest, and files with their sums: a bundle that is whole, and wrong."""
    manifest = json.loads((folder / MANIFEST).read_bytes())
    change(manifest)
    for name, content in (files or {}).items():
        (folder / name).write_bytes(content)
        manifest["files"][name] = hashlib.sha256(content).hexdigest()
    (folder / MANIFEST).write_text(json.dumps(manifest))


def test_features_and_codes_come_back_as_they_were_declared(toy: Toy) -> None:
    found = toy.bundle()
    assert found.features == toy.use_case.features
    assert found.encoder.columns == Encoder.of(toy.use_case.columns).columns
    assert found.manifest.run_id == RUN_ID


def test_the_same_training_writes_the_same_files(toy: Toy, tmp_path: Path) -> None:
    assert toy.reference.to_bytes() == toy.reference.to_bytes()
    listed = toy.bundle().manifest.files
    assert {ONNX, REFERENCE, "model.ubj"} == set(listed)
    assert all(len(digest) == 64 for digest in listed.values())


def test_the_reference_comes_back_with_missing_values_missing(toy: Toy) -> None:
    written, read = toy.reference, Reference.from_bytes(toy.reference.to_bytes())
    assert np.isnan(written.rows).any()
    assert read.rows.dtype == np.float32
    for name in ("rows", "predictions", "truth", "smoke", "required_only"):
        np.testing.assert_array_equal(getattr(read, name), getattr(written, name))


@pytest.mark.parametrize("name", [ONNX, REFERENCE, "model.ubj"])
def test_one_flipped_bit_in_any_file_is_found_and_the_file_named(toy: Toy, folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(BundleError, match=rf"run {RUN_ID}: {name} is damaged .*: deploy another run or retrain$"):
        bundle.load(folder, toy.digest)


@pytest.mark.parametrize("name", [MANIFEST, ONNX, REFERENCE, "model.ubj"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(BundleError, match=f"has no {name}: deploy another run or retrain$"):
        bundle.load(folder)


def test_a_truncated_file_is_found(folder: Path) -> None:
    (folder / ONNX).write_bytes((folder / ONNX).read_bytes()[:-1])
    with pytest.raises(BundleError, match="damaged"):
        bundle.load(folder)


def test_a_changed_manifest_is_not_the_one_that_was_registered(toy: Toy, folder: Path) -> None:
    rewrite(folder, lambda m: m["quality"].update(test_auc=1.0))
    with pytest.raises(BundleError, match="does not match the registered digest"):
        bundle.load(folder, toy.digest)
    assert bundle.load(folder).manifest.quality["test_auc"] == 1.0  # without a digest nobody can tell


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "JSON"),
        (b"{}", "Field required"),
        (b"[]", "object"),
        (b'{"format": "x"}', "format"),
        (b"\xff", "JSON"),
    ],
)
def test_a_manifest_that_is_none_is_refused(folder: Path, content: bytes, said: str) -> None:
    (folder / MANIFEST).write_bytes(content)
    with pytest.raises(BundleError, match=said):
        bundle.load(folder)


def test_a_manifest_that_lists_no_model_is_refused(folder: Path) -> None:
    rewrite(folder, lambda m: m["files"].pop(ONNX))
    with pytest.raises(BundleError, match=ONNX):
        bundle.load(folder)


def test_a_bundle_of_a_newer_format_is_refused_with_what_to_do(folder: Path) -> None:
    rewrite(folder, lambda m: m.update(format=FORMAT + 1, features="nobody knows what they are by then"))
    said = f"has format {FORMAT + 1}, made by scorehouse {'0' * 40}; this door reads up to {FORMAT}: upgrade the door"
    with pytest.raises(BundleError, match=said):
        bundle.load(folder)


def test_fields_that_are_not_known_change_nothing_within_a_format(toy: Toy, folder: Path) -> None:
    def add(manifest: dict[str, Any]) -> None:
        manifest["weather"] = {"sunny": True}
        manifest["features"][0]["colour"] = "red"
        manifest["columns"][0]["colour"] = "red"

    rewrite(folder, add)
    assert bundle.load(folder).features == toy.use_case.features
    assert bundle.load(folder).scorer(toy.use_case)


def test_a_feature_that_lacks_a_field_is_refused_with_the_commit_that_made_it(folder: Path) -> None:
    rewrite(folder, lambda m: m["features"][0].pop("categories"))
    with pytest.raises(BundleError, match=rf"commit {'0' * 40}.*categories"):
        bundle.load(folder)


@pytest.mark.parametrize("labels", [[["a"]], [1], "text", None, [[["a"], "b"]]])
def test_labels_that_are_none_are_refused(folder: Path, labels: Any) -> None:
    rewrite(folder, lambda m: m["features"][0].update(labels=labels))
    with pytest.raises(BundleError, match="built by an incompatible version"):
        bundle.load(folder)


def test_a_bundle_of_the_first_format_is_read(toy: Toy, folder: Path) -> None:
    """It said no format to older code, and had the labels as an object."""

    def before(manifest: dict[str, Any]) -> None:
        del manifest["format"]
        for feature in manifest["features"]:
            feature["labels"] = {str(category): label for category, label in feature["labels"]}

    rewrite(folder, before)
    assert bundle.load(folder).features == toy.use_case.features


def test_a_boolean_comes_back_with_its_labels_and_example(folder: Path) -> None:
    feature = Feature(name="owns", kind="boolean", help="", labels={True: "owner", False: "tenant"}, example=False)
    rewrite(folder, lambda m: m.update(features=bundle.features_json([feature])))
    (loaded,) = bundle.load(folder).features
    assert loaded == feature
    assert [type(key) for key in loaded.labels] == [bool, bool]


@pytest.mark.parametrize(
    ("kind", "parts", "format_"),
    [("integer", (), 2), ("date", (), 2), ("boolean", (), 3), ("datetime", (), 4), ("date", ("month",), 4)],
)
def test_only_a_bundle_with_a_newer_kind_or_parts_is_refused_by_older_doors(
    toy: Toy, tmp_path: Path, kind: Any, parts: Any, format_: int
) -> None:
    manifest = bundle.read_manifest((toy.folder / bundle.MANIFEST).read_bytes())
    features = bundle.features_json([Feature(name="x", kind=kind, help="", parts=parts)])
    bundle.write(tmp_path, manifest.model_copy(update={"features": features}), {})
    written = (tmp_path / bundle.MANIFEST).read_bytes()
    assert bundle.read_manifest(written).format == format_
    assert (b'"parts"' in written) == bool(parts)  # other bundles are written as before, byte by byte


def test_a_door_that_takes_dates_apart_in_another_way_refuses_the_bundle(
    toy: Toy, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = Feature(name="at", kind="datetime", help="", parts=("weekday", "hour"))
    manifest = bundle.read_manifest((toy.folder / bundle.MANIFEST).read_bytes())
    contents = {name: (folder / name).read_bytes() for name in manifest.files}
    features = [*manifest.features, *bundle.features_json([at])]
    bundle.write(folder, manifest.model_copy(update={"features": features}), contents)
    loaded = bundle.load(folder)
    assert loaded.features[-1] == at
    assert loaded.manifest.parts == {"at_weekday": 0, "at_hour": 1}
    assert loaded.scorer(toy.use_case)
    monkeypatch.setitem(derivation._READ, "weekday", lambda when: when.isoweekday())
    said = f"run {RUN_ID}: at_weekday of {bundle.PROBE} is 1 here, but was 0 in training: retrain, or check out"
    with pytest.raises(BundleError, match=re.escape(said)):
        loaded.scorer(toy.use_case)


# Each example writes the folder again.
SHARED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
CATEGORIES = st.lists(st.integers(-(2**63), 2**63) | st.text(), unique_by=lambda c: (type(c), c), max_size=5)


@SHARED
@given(CATEGORIES, st.text(max_size=5))
@example(["1", "2"], "north")
@example([1, 2], "north")
@example([1, "1"], "an object could not tell them apart")
@example(["\u00b2", "\u0663"], "digits to Python, and no numbers")
def test_labels_of_any_categories_come_back(folder: Path, categories: list[str | int], label: str) -> None:
    feature = Feature(
        name="region", kind="category", help="", categories=tuple(categories), labels=dict.fromkeys(categories, label)
    )
    rewrite(folder, lambda m: m.update(features=bundle.features_json([feature])))
    assert bundle.load(folder).features == (feature,)


@SHARED
@given(CATEGORIES)
@example(["\u00b2", "-", "--1"])
@example(["1", "2"])
def test_labels_of_the_first_format_come_back_if_no_two_read_the_same(
    folder: Path, categories: list[str | int]
) -> None:
    assume(len({str(category) for category in categories}) == len(categories))
    feature = Feature(
        name="region", kind="category", help="", categories=tuple(categories), labels=dict.fromkeys(categories, "x")
    )
    (stored,) = bundle.features_json([feature])
    stored["labels"] = {str(category): "x" for category in categories}
    rewrite(folder, lambda m: m.update(features=[stored]))
    assert bundle.load(folder).features == (feature,)


def test_another_use_cases_bundle_is_refused(toy: Toy) -> None:
    other = replace(load_use_case("churn"), name="wine")
    with pytest.raises(BundleError, match=f"run {RUN_ID} is a model for churn, not for wine"):
        toy.bundle().scorer(other)


@pytest.mark.parametrize("version", [0, 2])
def test_another_version_is_refused_and_the_commit_to_go_back_to_is_named(toy: Toy, version: int) -> None:
    with pytest.raises(
        BundleError, match=rf"is for version 1 of churn, but this code is version {version}.*{'0' * 40}"
    ):
        toy.bundle().scorer(replace(toy.use_case, version=version))


def test_other_predictions_than_at_training_are_refused(toy: Toy, folder: Path) -> None:
    reference = toy.reference
    for wrong in (reference.smoke + 3 * TOLERANCE, np.full_like(reference.smoke, np.nan)):
        rewrite(folder, lambda m: None, {REFERENCE: replace(reference, smoke=wrong).to_bytes()})
        with pytest.raises(BundleError, match="predictions differ from the recorded ones"):
            bundle.load(folder).scorer(toy.use_case)


def test_predictions_within_the_rounding_of_float32_are_accepted(toy: Toy, folder: Path) -> None:
    reference = toy.reference
    close = replace(reference, smoke=reference.smoke + TOLERANCE / 3)
    rewrite(folder, lambda m: None, {REFERENCE: close.to_bytes()})
    assert bundle.load(folder).scorer(toy.use_case)


def test_an_amount_near_nothing_may_differ_by_the_rounding_of_usual_amounts() -> None:
    amounts = np.array([0.0, 300.0, -400.0, 1e4])
    usual = np.sqrt(np.mean(amounts**2))
    assert bundle.rounding(1e-5, amounts).tolist() == pytest.approx([1e-5 * n for n in (usual, usual, usual, 1e4)])
    assert bundle.rounding(1e-5, np.array([0.2, 0.9])).tolist() == [1e-5, 1e-5]


def test_a_reference_of_other_columns_is_refused(toy: Toy, folder: Path) -> None:
    reference = toy.reference
    rewrite(folder, lambda m: None, {REFERENCE: replace(reference, rows=reference.rows[:, 1:]).to_bytes()})
    with pytest.raises(BundleError, match=f"run {RUN_ID}: its model cannot be run"):
        bundle.load(folder).scorer(toy.use_case)


@pytest.mark.parametrize("model", [b"", b"no onnx at all", b"\x08\x0a" * 500])
def test_a_model_that_onnx_runtime_cannot_read_is_refused(toy: Toy, folder: Path, model: bytes) -> None:
    rewrite(folder, lambda m: None, {ONNX: model})
    with pytest.raises(BundleError, match="its model cannot be run"):
        bundle.load(folder).scorer(toy.use_case)


def test_a_reference_that_is_none_is_refused(toy: Toy, folder: Path) -> None:
    rewrite(folder, lambda m: None, {REFERENCE: b"not gzip"})
    with pytest.raises(BundleError, match="cannot be run"):
        bundle.load(folder).scorer(toy.use_case)


def test_a_folder_that_vanishes_while_it_is_read_is_worth_another_try(toy: Toy, folder: Path) -> None:
    found = bundle.load(folder)
    shutil.rmtree(folder)
    with pytest.raises(CacheUnavailable):
        found.scorer(toy.use_case)


def test_a_file_that_cannot_be_read_is_worth_another_try(folder: Path) -> None:
    (folder / ONNX).unlink()
    (folder / ONNX).mkdir()
    with pytest.raises(CacheUnavailable, match="cannot be read"):
        bundle.load(folder)


def test_an_answer_does_not_depend_on_the_batch_it_came_in(toy: Toy, toy_records: list[dict[str, Any]]) -> None:
    scorer = toy.bundle().scorer(toy.use_case)
    together = scorer.score(toy_records)
    assert [scorer.score([r])[0] for r in toy_records] == together
    assert [answer for i in range(0, 99, 3) for answer in scorer.score(toy_records[i : i + 3])] == together[:99]


def test_no_bundle_holds_a_pickle(toy: Toy) -> None:
    for path in toy.folder.iterdir():
        head = path.read_bytes()[:2]
        assert path.suffix not in {".pkl", ".pickle", ".joblib"}
        assert head not in {b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"}
