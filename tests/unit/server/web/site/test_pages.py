from __future__ import annotations

import re
import shlex
from html.parser import HTMLParser
from typing import Any

import orjson
import pytest

from scorehouse.pages.loading import load_use_case
from scorehouse.serving.deployment import Status
from scorehouse.serving.serving import Model
from scorehouse.settings import Settings
from server.web.main import create_app


class Page(HTMLParser):
    """A page's elements as (tag, attributes), and its text by the id of the element that holds it."""

    def __init__(self, html: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self._ids: list[str | None] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in {"meta", "link", "input", "br", "path"}:
            self._ids.append(dict(attrs).get("id"))

    def handle_endtag(self, tag: str) -> None:
        if tag not in {"meta", "link", "input", "br", "path"}:
            self._ids.pop()

    def handle_data(self, data: str) -> None:
        if self._ids and self._ids[-1]:
            self.texts[self._ids[-1]] = self.texts.get(self._ids[-1] or "", "") + data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]


def page(door: Any, path: str, status: int = 200) -> Page:
    answer = door.client.get(path)
    assert (answer.status_code, answer.mimetype) == (status, "text/html")
    return Page(answer.text)


@pytest.mark.parametrize("path", ["/", "/docs"])
@pytest.mark.parametrize("serves", [True, False])
def test_pages_run_no_inline_code_and_fetch_nothing_from_elsewhere(door: Any, path: str, serves: bool) -> None:
    if not serves:
        door.serving.model = None
    answer = door.client.get(path)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    found = Page(answer.text)
    assert all(script["src"] for script in found.all("script"))
    for _, attributes in found.elements:
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        assert not re.match(r"(https?:)?//", attributes.get("src") or attributes.get("href") or "")


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_everything_that_a_page_links_to_is_there(door: Any, path: str) -> None:
    found = page(door, path)
    links = {a.get("href") or a.get("src") for tag in ("a", "link", "script") for a in found.all(tag)}
    for link in links:
        if link and not link.startswith("#"):
            with door.client.get("/" + link.removeprefix("./")) as answer:
                assert answer.status_code == 200, link


def test_every_feature_has_a_labelled_control_with_a_place_for_its_error(door: Any) -> None:
    found = page(door, "/")
    controls = {a["name"]: a for tag in ("input", "select") for a in found.all(tag)}
    features = door.serving.model.bundle.features
    assert set(controls) == {f.name for f in features}
    labels, ids = {a.get("for") for a in found.all("label")}, {a.get("id") for _, a in found.elements}
    for feature in features:
        control = controls[feature.name]
        assert control["id"] in labels
        assert set((control["aria-describedby"] or "").split()) <= ids
        assert f"e-{feature.name}" in ids


def test_the_card_says_which_run_answers_how_good_it_is_and_where_it_ends(door: Any) -> None:
    html = door.client.get("/").text
    made = door.serving.model.bundle.manifest
    for part in (made.run_id, made.about, "of 100 pairs", "generated rows", "1 January 2026"):
        assert part in html


@pytest.mark.parametrize(("uses", "said"), [(0, "not used in training."), (7, "of these rows: 7 comparisons so far.")])
def test_the_card_says_how_often_its_test_rows_have_compared_models(
    door: Any, toy_model: Model, uses: int, said: str
) -> None:
    made = toy_model.bundle.manifest.model_copy(update={"test_uses": uses})
    bundle = type(toy_model.bundle)(toy_model.bundle.folder, made, "")
    door.serving.model = Model(bundle, toy_model.scorer)
    assert said in door.client.get("/").text


def test_names_and_texts_of_a_use_case_are_text_and_never_markup(door: Any, toy_model: Model) -> None:
    made = toy_model.bundle.manifest
    evil = "<script>alert(1)</script>\"'"
    bundle = type(toy_model.bundle)(toy_model.bundle.folder, made.model_copy(update={"title": evil, "about": evil}), "")
    door.serving.model = Model(bundle, toy_model.scorer)
    for path in ("/", "/docs"):
        assert evil not in door.client.get(path).text
        assert page(door, path).all("h1")


def test_the_curl_example_is_the_request_that_gets_the_answer_shown(door: Any) -> None:
    words = shlex.split(page(door, "/docs").texts["curl"].replace("\\\n", " "))
    assert words[:3] == ["curl", "-s", "http://localhost/predict"]
    assert words[words.index("-H") + 1] == "Content-Type: application/json"
    answer = door.post("/predict", words[words.index("-d") + 1].encode())
    assert answer.status_code == 200
    assert f"{answer.json['churn chance']}" in door.client.get("/docs").text
    assert [line["test"] for line in door.journalled()] == [True]


def test_a_host_that_is_no_host_breaks_out_of_neither_the_page_nor_the_command(door: Any) -> None:
    answer = door.client.get("/docs", headers={"Host": "x';<b>evil"})
    assert "<b>evil" not in answer.text
    assert answer.status_code in {200, 400}


def test_the_docs_show_every_field_every_status_and_every_route(door: Any) -> None:
    html = door.client.get("/docs").text
    for feature in door.serving.model.bundle.features:
        assert f"<code>{feature.name}</code>" in html
    for status in (400, 404, 405, 413, 415, 422, 503):
        assert f'<th scope="row">{status}</th>' in html
    for path in door.client.get("/openapi.json").json["paths"]:
        assert path in html


def test_showing_pages_and_examples_writes_nothing_into_the_prediction_log(door: Any) -> None:
    for path in ("/", "/docs", "/openapi.json", "/example"):
        assert door.client.get(path).status_code == 200
    assert door.journalled() == []


def test_an_example_can_be_posted_as_it_comes(door: Any) -> None:
    first, second = door.client.get("/example"), door.client.get("/example")
    assert first.json != second.json
    assert first.headers["Cache-Control"] == "no-store"
    assert door.post("/predict", orjson.dumps(first.json)).status_code == 200


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_while_no_model_serves_a_page_says_what_to_do_and_looks_again(empty_door: Any, path: str) -> None:
    found = page(empty_door, path, 503)
    assert {"http-equiv": "refresh", "content": "5"} in found.all("meta")
    html = empty_door.client.get(path).text
    for command in ("make start-serve", "make up", "make deploy RUN_ID="):
        assert command in html
    assert "not asked yet" in html


def test_the_address_of_the_registry_which_may_hold_a_password_is_on_no_page(empty_door: Any, toy_model: Model) -> None:
    address = empty_door.settings.mlflow_address
    for model in (None, toy_model):
        empty_door.serving.model = model
        for path in ("/", "/docs", "/openapi.json", "/readyz"):
            assert address not in empty_door.client.get(path).text


def test_a_run_that_is_refused_is_told_with_the_reason(empty_door: Any) -> None:
    empty_door.deployment.status = Status("answers", "run abc is <damaged>")
    assert "run abc is &lt;damaged&gt;" in empty_door.client.get("/").text


def test_a_registry_without_a_model_is_no_refusal(empty_door: Any) -> None:
    empty_door.deployment.status = Status("answers", missing="no model named churn is registered in MLflow yet")
    html = empty_door.client.get("/").text
    assert "No model named churn is registered in MLflow yet." in html
    assert "refused" not in html


def test_what_a_use_case_derives_is_called_by_its_help_beside_a_bar(door: Any) -> None:
    settings = Settings(data_folder=door.settings.data_folder)
    app = create_app(load_use_case("insurance"), door.serving, door.deployment, settings)
    [panel] = [a for a in Page(app.test_client().get("/").text).all("section") if a.get("id") == "answer"]
    derived = orjson.loads(panel["data-derived"] or "")
    assert derived == {f.name: [f.help, f.unit, {}] for f in load_use_case("insurance").derived}
    assert derived


def test_behind_the_gateway_the_example_has_a_key_and_the_address_that_the_reader_uses(door: Any) -> None:
    headers = {"Host": "house.example:8000", "X-Forwarded-Proto": "https", "X-Caller": "anna"}
    html = door.client.get("/docs", headers=headers).text
    assert "https://house.example:8000/predict" in html and "X-API-Key: YOUR-KEY" in html
    assert 'href="pages"' in html
    assert 'href="pages"' not in door.client.get("/docs").text
