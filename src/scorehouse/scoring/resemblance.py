"""What bytes that are not JSON look like, in the sender's own words: for the reason with which they are refused."""

from __future__ import annotations

import re

_HEAD = 4096  # bytes that are looked at
# The first bytes of formats, from their specifications.
_BEGINNINGS = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x04\x22\x4d\x18": "lz4",
    b"\xff\x06\x00\x00sNaPpY": "snappy",
    b"\x78\x01": "zlib",
    b"\x78\x5e": "zlib",
    b"\x78\x9c": "zlib",
    b"\x78\xda": "zlib",
    b"PK\x03\x04": "a zip archive (an xlsx file is one)",
    b"PAR1": "Parquet",
    b"ARROW1": "Arrow",
    b"\xff\xff\xff\xff": "an Arrow stream",
    b"ORC": "ORC",
    b"Obj\x01": "Avro",
    b"\xf3\x89\x9a\xc2": "records aggregated by the Kinesis Producer Library (protobuf)",
    b"\x93NUMPY": "a NumPy array",
    b"\x89HDF": "HDF5",
    b"SQLite format 3": "an SQLite database",
    b"%PDF": "a PDF",
    b"\x80\x02": "a Python pickle",
    b"\x80\x03": "a Python pickle",
    b"\x80\x04": "a Python pickle",
    b"\x80\x05": "a Python pickle",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
    b"%7B": "a URL-encoded text",
    b"---\n": "YAML",  # before what else begins with --
    b"---\r\n": "YAML",
    b"-- ": "SQL",
    b"--": "a multipart form",
    b"@": "the name of a file, not its content",
    b"'": "JSON in single quotes, which the Windows command prompt does not remove",
    b"data=": "a form (name=value)",
}
_PATTERNS = (
    (rb"\s*<[0-9]{1,3}>", "a syslog line: send the JSON in it alone"),
    (rb"\s*<", "XML or HTML"),
    (rb".*[}\]]\s*\x00+\Z", "JSON with a NUL at its end, as a string of C has"),
    (rb"\s*[\[{].*=>", "a printed Ruby hash: send its to_json"),
    (rb"\s*(//|/\*|#)|\s*[\[{].*?(\n[ \t]*+(//|/\*|#)|,[ \t]*+(//|/\*))", "JSON with comments"),
    (rb"\s*([0-9a-fA-F]{2}){8,}\s*\Z", "hexadecimal digits: send the bytes themselves"),
    (rb"\s*[\w.]+=(?>\"[^\"]*\"|\S+)(?>\s+[\w.]+=(?>\"[^\"]*\"|\S+))++\s*\Z", "logfmt (name=value name=value)"),
    (rb"\s*(\[\w+\]\s*)?\w+ ?= ?(\"[^\"\n]*\"|[\w.]+)[ \t]*\r?\n", "TOML or an INI file"),
    (rb"\s*\w*[({]\w+=.*[)}]\s*\Z", "a printed object (name=value): send it as JSON"),
    (rb"\)\]\}'|CEF:[0-9]\||[\w.]+:[0-9.]+\|[a-z]+\b", "JSON or a metric behind a prefix: send the JSON alone"),
    (rb"\[object ", "a printed JavaScript object: send JSON.stringify of it"),
    (rb"(POST|PUT|GET|HTTP/1) ?[/.]", "a whole HTTP message: send its body alone"),
    (rb"eyJ[\w-]+\.[\w-]+\.", "a JSON web token"),
    (rb"\s*(INSERT|SELECT|UPDATE)\s", "SQL"),
    (rb"\s*[A-Za-z_][\w -]*:[ \t][^\n{]*\n(\s*[A-Za-z_-][\w -]*:.*)?\s*\Z", "YAML"),
    (rb"\s*[^\s{\[][^{\n]{0,300}\{\s*\"", "JSON after other text, such as the prefix of a log: send the JSON alone"),
    (rb"\s*[\[{]\s*(\{\s*)?\\?[\"']?\xe2\x80[\x98-\x9f]", "JSON with typographic quotes"),
    (rb"\s*[\[{]\s*(\{\s*)?\\\"", "JSON with a backslash before each quote"),
    (rb"\s*[\[{]\s*(\{\s*)?'", "a printed Python object (single quotes): send json.dumps of it"),
    (rb"\s*[\[{].*[:,\[]\s*(True|False|None|nan|inf)\b", "a printed Python object: send json.dumps of it"),
    (rb"\s*\{\s*[A-Za-z_]\w*\s*:", "JSON whose quotes a shell has removed"),
    (rb"[\w.%+-]+=[^&\s]*(&[\w.%+-]+=[^&\s]*)*\s*\Z", "a form (name=value)"),
    (rb"[\x80-\x8f\xde\xdf].{0,4}?[\xa0-\xbf\xd9]\w", "MessagePack"),
    (rb"[\x90-\x9f\xdc\xdd].{0,4}?[\x80-\x8f\xde\xdf]", "MessagePack"),
    (rb"[\xa1-\xbb\xbf\x81-\x9b].?[\x61-\x78]\w", "CBOR"),
    (rb"\s*+[^\s,;|{\[][^\n\r{\[,;\t|]*+[,;\t|][^\n\r{\[]*+(\r|\n|\Z)", "CSV"),
    (rb"[\x08\x0a\x0d\x10\x12\x15\x18\x1a\x1d\x22][\x00-\xff]", "protobuf"),
)
_COMPILED = [(re.compile(pattern, re.DOTALL), name) for pattern, name in _PATTERNS]


def resemblance(data: bytes, inner: bytes | None = None) -> str:
    """Return what `data`, which is not JSON, looks like; empty for nothing known.

    `inner` is what `data` says in base64, if it is base64.
    """
    if inner is not None and (like := _beginning(inner)):
        return f"{like} in base64"
    if like := _beginning(data):
        return like
    head = data[:_HEAD]
    if head.count(0) > len(head) // 4 and not any(byte > 0x7F for byte in head):
        return "UTF-16 or binary data"
    return next((name for pattern, name in _COMPILED if pattern.match(head)), "") or _encoding(data)


def _beginning(data: bytes) -> str:
    stripped = data.lstrip()
    return next((name for first, name in _BEGINNINGS.items() if stripped.startswith(first)), "")


def _encoding(data: bytes) -> str:
    """Text in an encoding of one byte per character, as PowerShell 5 sends it, is UTF-8 but for its accents."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        if any(byte < 0x20 and byte not in b"\t\r\n" for byte in data[:_HEAD]):
            return "binary data"
        where = f"the byte 0x{data[error.start]:02x} at position {error.start} is not UTF-8"
        return f"Latin-1 or Windows-1252 text ({where}): send UTF-8, or name the charset"
    return ""
