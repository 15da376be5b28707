"""A table in a file, opened: its columns, how they are written, and its rows in chunks, in bounded memory."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from scorehouse.errors import TableError
from scorehouse.tables.cells import Notations
from scorehouse.tables.columns import is_text, plain
from scorehouse.tables.content import HEAD, Content, first_bytes, open_content
from scorehouse.tables.text import (
    HEAD_ROWS,
    MOST_COLUMNS,
    Decoder,
    decode_head,
    find_encoding,
    find_layout,
    head_rows,
    is_torn,
    require_distinct,
    torn_row,
)
from scorehouse.tables.workbook import read_workbook

BLOCK = 2**22  # bytes of text that are parsed at a time; a row must fit
_READ_ROWS = 10_000  # rows of Parquet that are read at a time
MOST_TEXT = 2**30  # bytes that a Parquet file's texts may have
_TEXT_AT_ONCE = 2**27  # bytes of them that are decoded together
_MOST_FOOTER = 2**26  # bytes of a Parquet file's description of itself


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows of a table, and for each the row of the file that a person sees, (n,): a header is row 1."""

    table: pa.Table
    rows: NDArray[np.int64]


class Table:
    """One table: its `schema` (all text, unless it is Parquet) and its rows in `chunks`, without those that are empty.

    `notations` are how its columns are written, and `first_row` is the row of the file that its first row is.
    """

    def __init__(self, file: IO[bytes], name: str):
        """Open `file`, called `name` in messages. Raises TableError if it is not a table."""
        self._name = name
        self._file = file
        self._size = file.seek(0, io.SEEK_END)
        self._rows: int | None = None
        self._rows_read = 0
        self._skipped: list[int] = []  # rows of the file that have too few or too many cells, all of them empty
        self._fault: TableError | None = None  # the first row that has too few or too many cells
        self._decoder: Decoder | None = None
        self.empty_rows = 0
        with self._readable():
            content = open_content(file)
            self._said = list(content.layers)
            opener: dict[str, Callable[[Content], None]] = {
                "text": self._open_text, "Parquet": self._open_parquet, "workbook": self._open_workbook,
            }  # fmt: skip
            opener[content.kind](content)

    @property
    def nested(self) -> list[str]:
        """The columns whose cells are lists or structures, with their types."""
        return [f"{field.name} ({field.type})" for field in self.schema if pa.types.is_nested(field.type)]

    @property
    def read_as(self) -> str:
        """How the table was read, in one line; complete when all chunks were read."""
        said = list(self._said)
        if self._decoder is not None and self._decoder.mixed:
            said.insert(self._encoding_at, "Windows-1252")
        marks = [self.notations.decimal(name) for name in self.schema.names]
        said += ["decimal comma"] if "," in marks else []
        rows = "row" if self.empty_rows == 1 else "rows"
        said += [f"{self.empty_rows:,} empty {rows} skipped"] if self.empty_rows else []
        return f"read {self._name}: {', '.join(said)}"

    def chunks(self, rows: int) -> Iterator[Chunk]:
        """Yield the rows in order, `rows` at a time. Raises TableError if the file or a row is torn."""
        with self._readable():
            for chunk in _regroup(self._numbered(), self.schema, rows):
                self._rows_read += len(chunk.rows)
                yield chunk

    def progress(self) -> float:
        """Return the share of the table that has been read, 0 to 1: of its rows, or of the bytes of a text."""
        if self._rows is not None:
            return min(1.0, (self._rows_read + self.empty_rows) / self._rows) if self._rows else 1.0
        return min(1.0, self._file.tell() / self._size)

    def _readable(self) -> _Readable:
        return _Readable(self._name)

    def _open_text(self, content: Content) -> None:
        head = first_bytes(content.stream)
        encoding = find_encoding(head)
        self._encoding_at = len(self._said)
        self._said += [encoding.name] if encoding.name else []
        whole = len(head) < HEAD
        text = decode_head(head, encoding)
        layout = find_layout(text, whole)
        self._said.append(layout.said)
        self._decoder = Decoder(encoding)
        self._layout = layout
        self._stream = _Utf8(content.stream, self._decoder, layout.start)
        self.schema = pa.schema([pa.field(name, pa.string()) for name in layout.names])
        first = _columns(head_rows(text, layout, whole))
        self.notations = Notations(dict(zip(layout.names, first, strict=False)), layout.separator)
        self.first_row = layout.row + 1
        self._batches: Iterable[pa.RecordBatch] = self._text_batches()

    def _text_batches(self) -> Iterator[pa.RecordBatch]:
        names = self.schema.names
        last = ""
        for batch in pa_csv.open_csv(
            self._stream,
            read_options=pa_csv.ReadOptions(
                use_threads=False, block_size=BLOCK, column_names=names, skip_rows_after_names=1
            ),
            parse_options=pa_csv.ParseOptions(
                delimiter=self._layout.separator,
                quote_char=self._layout.quote,
                escape_char=self._layout.escape or False,
                newlines_in_values=True,
                ignore_empty_lines=False,
                invalid_row_handler=self._ragged,
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        ):
            if self._fault:
                raise self._fault
            if batch.num_rows:
                last = batch[batch.num_columns - 1][-1].as_py() or ""
            yield batch
        if self._fault:
            raise self._fault
        if is_torn(self._stream.tail, last, self._layout):
            raise TableError("is cut off: it ends within quotes")

    def _ragged(self, row: Any) -> str:
        """Skip a row without any value; otherwise remember what is wrong. The content may be personal data."""
        number = row.number + self.first_row - 2
        if not row.text.strip(self._layout.separator + self._layout.quote + " \t\r\n"):
            self._skipped.append(number)
            return "skip"
        self._fault = self._fault or torn_row(
            number, row.actual_columns, row.expected_columns, row.text.count(self._layout.quote) % 2 == 1
        )
        return "skip"

    def _open_parquet(self, content: Content) -> None:
        self._said.append("Parquet")
        _require_short_footer(content.stream)
        source = pa.PythonFile(content.stream, "r")
        # Without pre_buffer=False everything that was read stays in memory.
        table = pq.ParquetFile(source, pre_buffer=False)
        fixed = [f.type.byte_width for f in table.schema_arrow if pa.types.is_fixed_size_binary(f.type)]
        if sum(fixed) * table.metadata.num_rows > MOST_TEXT:
            raise _too_much_text()
        texts = [field.name for field in table.schema_arrow if _varies(field.type)]
        # As dictionaries, in which one long text is held once, however many rows have it.
        table = pq.ParquetFile(source, pre_buffer=False, read_dictionary=texts)
        self._rows = table.metadata.num_rows
        self.schema = table.schema_arrow.remove_metadata()
        if len(self.schema.names) > MOST_COLUMNS:
            raise TableError(f"has {len(self.schema.names):,} columns; at most {MOST_COLUMNS:,} are read")
        require_distinct(self.schema.names)
        self.schema = pa.schema([field.with_type(_decoded_type(field.type)) for field in self.schema])
        batches = (batch.cast(self.schema) for batch in _bounded(table.iter_batches(_READ_ROWS)))
        first = next(batches, None)
        self.notations = Notations({} if first is None else _text_columns(first))
        self.first_row = 1
        self._batches = batches if first is None else chain([first], batches)

    def _open_workbook(self, content: Content) -> None:
        names, rows, said, first_row = read_workbook(content.stream)
        self._said.append(said)
        self._rows = len(rows)
        self.schema = pa.schema([pa.field(name, pa.string()) for name in names])
        columns = _columns(rows) or [() for _ in names]
        table = pa.table([pa.array(cells, pa.string()) for cells in columns], schema=self.schema)
        first = [[cell or "" for cell in cells[:HEAD_ROWS]] for cells in columns]
        self.notations = Notations(dict(zip(names, first, strict=True)))
        self.first_row = first_row
        self._batches = table.to_batches()

    def _numbered(self) -> Iterator[tuple[pa.RecordBatch, NDArray[np.int64]]]:
        """Yield the batches without empty rows, and the rows of the file that are left."""
        following = self.first_row
        for batch in self._batches:
            numbers, following = self._numbers(following, batch.num_rows)
            blank = _blank(batch)
            if blank.any():
                self.empty_rows += int(blank.sum())
                batch, numbers = batch.filter(pa.array(~blank)), numbers[~blank]  # noqa: PLW2901
            yield batch, numbers
        self.empty_rows += len(self._skipped)
        self._skipped.clear()

    def _numbers(self, following: int, count: int) -> tuple[NDArray[np.int64], int]:
        """Return the rows of the file that the next `count` rows are, leaving out those that were skipped."""
        numbers = np.arange(following, following + count)
        while self._skipped and count and self._skipped[0] <= numbers[-1]:
            numbers[numbers >= self._skipped[0]] += 1
            self._skipped.pop(0)
            self.empty_rows += 1
        return numbers, int(numbers[-1]) + 1 if count else following


class _Readable:
    """Says which file cannot be read, without the content of a row, which may be personal data."""

    def __init__(self, name: str):
        self._name = name

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, TableError):
            raise TableError(f"{self._name} {error}") from error
        if isinstance(error, pa.ArrowException | OSError | EOFError | ValueError):
            raise TableError(f"{self._name} cannot be read as a table: {_first_line(error)}") from error


class _Utf8(io.RawIOBase):
    """A text's bytes in UTF-8 from its header on, for Arrow. `tail` are its last characters."""

    def __init__(self, source: io.BufferedReader, decoder: Decoder, start: int):
        self._source = source
        self._decoder = decoder
        self._left = start
        self._ended = False
        self.tail = ""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """Return about `size` bytes, and none only at the end."""
        while not self._ended:
            part = self._source.read(size)
            self._ended = not part
            text = self._decoder.decode(part, last=self._ended)
            cut = min(self._left, len(text))
            self._left -= cut
            text = text[cut:]
            if text:
                self.tail = (self.tail + text)[-HEAD:] if len(text) < HEAD else text[-HEAD:]
                return text.encode()
        if self.tail and not self.tail.endswith(("\n", "\r")):
            self.tail += "\n"  # Arrow reads no header without it
            return b"\n"
        return b""


def _columns(rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    return list(zip(*rows, strict=True))


def _text_columns(batch: pa.RecordBatch) -> dict[str, list[str]]:
    texts = {n: plain(c) for n, c in zip(batch.schema.names, batch.columns, strict=True) if is_text(c.type)}
    return {name: [cell or "" for cell in column.to_pylist()] for name, column in texts.items()}


def _bounded(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the batches of a Parquet file in parts whose texts fit into memory, and MOST_TEXT of text at most.

    578 bytes of Parquet may say 60,000 times a text of 200 kB.
    """
    left = MOST_TEXT
    for batch in batches:
        before = left
        for column in batch.columns:
            if pa.types.is_dictionary(column.type) and _varies(column.type):
                lengths = pc.cast(pc.binary_length(column.dictionary), pa.int64()).take(column.indices)
                left -= pc.sum(lengths).as_py() or 0
        if left < 0:
            raise _too_much_text()
        rows = max(1, batch.num_rows // (1 + (before - left) // _TEXT_AT_ONCE))
        yield from (batch.slice(start, rows) for start in range(0, batch.num_rows, rows))


def _too_much_text() -> TableError:
    return TableError(f"has more than {MOST_TEXT:,} bytes of text: leave out columns that are not needed")


def _varies(kind: Any) -> bool:
    """Return whether the cells of a column of this type, text or bytes, may be of any length."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return is_text(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind)


def _decoded_type(kind: Any) -> Any:
    """Return the type of a column without a dictionary of texts."""
    return _without_views(kind.value_type if pa.types.is_dictionary(kind) and _varies(kind) else kind)


def _without_views(kind: Any) -> Any:
    """Return the type that Arrow can filter, instead of one of text or bytes that it cannot."""
    return pa.string() if pa.types.is_string_view(kind) else pa.binary() if pa.types.is_binary_view(kind) else kind


def _blank(batch: pa.RecordBatch) -> NDArray[np.bool_]:
    """Return which rows have no value at all, (n,). Mostly one look at one column is enough."""
    blank = np.ones(batch.num_rows, dtype=np.bool_)
    for column in batch.columns:
        here = pc.is_null(column, nan_is_null=True)
        if pa.types.is_string(column.type):
            here = pc.or_(here, pc.fill_null(pc.utf8_is_space(column), fill_value=False))
            here = pc.or_(here, pc.fill_null(pc.equal(column, ""), fill_value=False))
        blank &= here.to_numpy(zero_copy_only=False)
        if not blank.any():
            break
    return blank


def _regroup(
    batches: Iterable[tuple[pa.RecordBatch, NDArray[np.int64]]], schema: pa.Schema, rows: int
) -> Iterator[Chunk]:
    """Yield chunks of exactly `rows` rows, and the rest as the last one."""
    pending: list[pa.RecordBatch] = []
    numbers = np.empty(0, dtype=np.int64)
    for batch, of_batch in batches:
        pending.append(batch)
        numbers = np.concatenate([numbers, of_batch])
        while len(numbers) >= rows:
            table = pa.Table.from_batches(pending, schema)
            yield Chunk(table.slice(0, rows).combine_chunks(), numbers[:rows])
            pending = table.slice(rows).to_batches()
            numbers = numbers[rows:]
    if len(numbers):
        yield Chunk(pa.Table.from_batches(pending, schema).combine_chunks(), numbers)


def _require_short_footer(stream: io.BufferedReader) -> None:
    """Raise TableError if a Parquet file's footer is missing, or longer than that of any table that is read."""
    size = stream.seek(0, io.SEEK_END)
    stream.seek(max(0, size - 8))
    end = stream.read(8)
    stream.seek(0)
    if not end.endswith(b"PAR1"):
        raise TableError("cannot be read as a table: it is Parquet without its end")
    if int.from_bytes(end[:4], "little") > _MOST_FOOTER:
        raise TableError(f"has more columns than can be read; at most {MOST_COLUMNS:,}")


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0].partition(", got ")[0][:200]
