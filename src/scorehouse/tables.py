"""Raw tables: CSV with any usual separator, gzipped or not, or Parquet."""

from __future__ import annotations

import gzip
import io
import zlib
from typing import TYPE_CHECKING

from scorehouse.errors import TableError

if TYPE_CHECKING:
    import pandas as pd


def parse_table(content: bytes, source: str) -> pd.DataFrame:
    """Return the table in `content`. It is Parquet if `source`, its path or address, ends in .parquet.

    Raises:
        TableError: it cannot be read.
    """
    import pandas as pd

    try:
        if source.endswith(".parquet"):
            return pd.read_parquet(io.BytesIO(content))
        text = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
        header = text.partition(b"\n")[0].decode(errors="replace")
        return pd.read_csv(io.BytesIO(text), sep=max(",;\t|", key=header.count), low_memory=False)
    except ImportError as error:  # pyarrow is not in every image
        raise TableError(f"{source} is Parquet, but pyarrow is not installed in this image: use CSV") from error
    except (ValueError, OSError, EOFError, zlib.error) as error:
        raise TableError(f"{source} cannot be read as a table: {error}") from error
