"""Encoding, separator, quotes and header of a text, found by its content."""

from __future__ import annotations

import pytest

from scorehouse.errors import TableError
from scorehouse.tables.content import HEAD
from scorehouse.tables.text import Decoder, Encoding, find_encoding, find_layout, rows_of


@pytest.mark.parametrize(
    ("codec", "name"),
    [
        ("utf-8", ""), ("utf-8-sig", "UTF-8 with a byte order mark"), ("utf-16", "UTF-16"), ("utf-16-le", "UTF-16"),
        ("utf-16-be", "UTF-16"), ("utf-32", "UTF-32"), ("latin-1", ""), ("cp1252", ""),
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_every_usual_encoding_is_read_in_parts_of_any_size(codec: str, name: str, size: int) -> None:
    text = "name;city\nJosé;Zürich\nØ;naïve\n"
    content = text.encode(codec)
    encoding = find_encoding(content)
    decoder = Decoder(encoding)
    parts = [decoder.decode(content[i : i + size]) for i in range(0, len(content), size)]
    assert "".join([*parts, decoder.decode(b"", last=True)]) == text
    assert encoding.name == name
    assert decoder.mixed == (codec in {"latin-1", "cp1252"})


def test_one_cell_of_another_program_in_a_text_of_utf_8_is_read() -> None:
    decoder = Decoder(Encoding("utf-8"))
    assert decoder.decode("José;".encode() + "José\x81".encode("latin-1") + b";\x80", last=True) == "José;José\x81;€"


def test_binary_is_refused() -> None:
    with pytest.raises(TableError, match="is binary"):
        find_encoding(bytes(range(256)) * 4)


@pytest.mark.parametrize(
    ("text", "names", "row"),
    [
        ("a,b\n1,2\n", ["a", "b"], ["1", "2"]),
        ("a;b\n1,5;2,5\n", ["a", "b"], ["1,5", "2,5"]),
        ("a\tb\n1,5\t2\n", ["a", "b"], ["1,5", "2"]),
        ("a|b\n1|2\n", ["a", "b"], ["1", "2"]),
        ("a\n1\n", ["a"], ["1"]),
        ('"customer, id";b\nx;2\n', ["customer, id", "b"], ["x", "2"]),
        ('"a";"b"\r"x;y";"say ""hi"""\r', ["a", "b"], ["x;y", 'say "hi"']),
        ("'a','b'\n'x, y','it''s'\n", ["a", "b"], ["x, y", "it's"]),
        ('"a","b"\n"x, \\"y\\"","z"\n', ["a", "b"], ['x, "y"', "z"]),
        ('a,b\n"C:\\dir\\",z\n', ["a", "b"], ["C:\\dir\\", "z"]),
        ("a,b\nx\\,y,z\n", ["a", "b"], ["x,y", "z"]),
        ("sep=;\na;b\n1,5;2\n", ["a", "b"], ["1,5", "2"]),
        ("\n,,\n a , b \n1,2\n", ["a", "b"], ["1", "2"]),
        ("a,,c\n1,2,3\n", ["a", "Unnamed: 1", "c"], ["1", "2", "3"]),
        (",Unnamed: 0,c\n1,2,3\n", ["Unnamed: 0_", "Unnamed: 0", "c"], ["1", "2", "3"]),
        ('a,b\n5" pipe,2\n', ["a", "b"], ['5" pipe', "2"]),
        ('a,"b\nc"\n1,"x\ny"\n', ["a", "b\nc"], ["1", "x\ny"]),
    ],
)  # fmt: skip
def test_the_layout_is_found(text: str, names: list[str], row: list[str]) -> None:
    layout = find_layout(text, whole=True)
    assert list(layout.names) == names
    assert next(iter(rows_of(text, layout))) == row


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("\n,,\n", "is empty"),
        ("a,b,a\n", "more than one column named 'a'"),
        ("a, a\n", "more than one column named 'a'"),
        (",".join(map(str, range(10_001))) + "\n", "has 10,001 columns; at most 10,000"),
        ('"a,b\n1,2\n', "^has a quote in its first row that is not closed: close it, or remove it$"),
        ('a,"b\n1,2\n3,4', "a quote in its first row that is not closed"),
        ('sep=;\na;"b\n1;2\n', "a quote in its first row that is not closed"),
    ],
)
def test_what_has_no_header_is_refused(text: str, said: str) -> None:
    with pytest.raises(TableError, match=said):
        find_layout(text, whole=True)


def test_a_first_row_without_an_end_is_refused() -> None:
    with pytest.raises(TableError, match="a first row of more than"):
        find_layout("a" * HEAD, whole=False)
    with pytest.raises(TableError, match=r"a first row of more than 1,048,576 bytes: is a quote in it not closed\?"):
        find_layout('a,"b\n' + "1,2\n" * (HEAD // 4), whole=False)
    with pytest.raises(TableError, match=r"has 524,289 columns|a first row of more than"):
        find_layout("a," * (HEAD // 2), whole=False)
