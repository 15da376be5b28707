"""What becomes of a refusal in Prefect: the flow run fails with our one line as its message, without a traceback."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from prefect.states import Failed

from scorehouse.errors import ScorehouseError

P = ParamSpec("P")
R = TypeVar("R")
_LOGGERS = ("prefect.flow_runs", "prefect.task_runs", "prefect.engine")


def refuse_in_one_line(body: Callable[P, R]) -> Callable[P, R]:
    """Decorate the body of a flow: one of our errors ends the flow run in the state Failed, with the error's text.

    A caller of the flow gets the error itself. Any other exception is a defect, and keeps its traceback.
    """

    @functools.wraps(body)
    def run(*args: P.args, **kwargs: P.kwargs) -> Any:
        try:
            return body(*args, **kwargs)
        except ScorehouseError as error:
            return Failed(message=str(error), data=error)

    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_is_no_refusal)
    return run


def _is_no_refusal(record: logging.LogRecord) -> bool:
    """Return False for a record with the traceback of a refusal: the state's message already says why."""
    return record.exc_info is None or not isinstance(record.exc_info[1], ScorehouseError)
