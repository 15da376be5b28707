from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from model_orchestration.get_data import fetch
from scorehouse.errors import TableError
from scorehouse.pages.loading import load_use_case

ADDRESS = "https://publisher.example/table"


class Publisher(requests.Response):
    """An answer with a content of its own."""

    def __init__(self, content: bytes, status: int = 200):
        super().__init__()
        self.status_code, self.raw, self.url = status, io.BytesIO(content), ADDRESS


def archive(**files: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as folder:
        for name, text in files.items():
            folder.writestr(name.replace("_", "."), text)
    return packed.getvalue()


def answers(monkeypatch: pytest.MonkeyPatch, response: requests.Response) -> None:
    def get(address: str, **_: Any) -> requests.Response:
        assert address == ADDRESS
        return response

    monkeypatch.setattr(requests, "get", get)


churn = replace(load_use_case("churn"), download=ADDRESS)


def test_the_largest_table_of_an_archive_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answers(monkeypatch, Publisher(archive(readme_txt="x" * 99, small_csv="a\n", large_csv="a,b\n1,2\n")))
    assert fetch(churn, tmp_path).read_text() == "a,b\n1,2\n"


def test_a_plain_table_is_kept_as_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answers(monkeypatch, Publisher(b"a;b\n"))
    assert fetch(churn, tmp_path) == tmp_path / "churn.csv"
    assert (tmp_path / "churn.csv").read_bytes() == b"a;b\n"


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (Publisher(b"", 403), "by hand"),
        (Publisher(archive(readme_txt="x")), "contains no CSV file: download the table yourself"),
    ],
    ids=["refused", "no table"],
)
def test_what_is_no_table_is_refused_in_words(
    response: requests.Response, words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    answers(monkeypatch, response)
    with pytest.raises(TableError, match=words):
        fetch(churn, tmp_path)


def test_a_table_without_a_public_address_is_not_downloaded(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="generated"):
        fetch(replace(churn, download=""), tmp_path)
