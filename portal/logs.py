"""Logging through structlog: one line an event, as text or JSON, without secrets or addresses."""

import contextlib
import logging
import sys
import threading
from collections.abc import MutableMapping
from types import TracebackType
from typing import Any, TextIO, cast

import click
import structlog


def configure(log_format: str) -> None:
    """Set up the process's logging. `log_format` is "text" or "json"."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    last: list[structlog.typing.Processor] = (
        [structlog.processors.JSONRenderer()]
        if log_format == "json"
        else [_in_one_line, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    )
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, _Console(sys.stderr))),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    if not any(isinstance(handler, _Libraries) for handler in root.handlers):
        root.addHandler(_Libraries(logging.WARNING))


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger that adds its name to every line."""
    bound: structlog.stdlib.BoundLogger = structlog.get_logger(part=name)
    return bound


def take_over(log_format: str) -> None:
    """For a process that serves until it is stopped: whatever it says goes through this log, also
    warnings and errors that nobody caught, and with "json" the lines of `tell`."""
    configure(log_format)
    _Process.speaks_json = log_format == "json"
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread
    logging.captureWarnings(True)


def speaks_json() -> bool:
    """Whether this process serves, and nobody reads its console but a program."""
    return _Process.speaks_json


def tell(line: str, *, err: bool = False) -> None:
    """Say something to whoever started the process: on its console, or as a line of its log."""
    if speaks_json():
        logger("portal").info(line)
    else:
        click.echo(line, err=err)


class _Process:
    speaks_json = False


class _Libraries(logging.Handler):
    """Writes the warnings and errors of libraries like our own lines."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            log = structlog.get_logger(part=record.name)
            log.log(record.levelno, record.getMessage().strip(), exc_info=record.exc_info)
        except Exception:
            self.handleError(record)


class _Console:
    """Leaves out what cannot be written: a full disk under the log must end no worker."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()


def _in_one_line(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """As text too an event is one line: a stack stands in it with its line ends as \\n."""
    if (stack := event.pop("exception", None)) is not None:
        event["traceback"] = stack
    event["event"] = str(event.get("event", "")).replace("\n", "\\n")
    return event


def _uncaught(
    kind: type[BaseException], problem: BaseException, stack: TracebackType | None
) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        logger("portal").critical("uncaught", exc_info=(kind, problem, stack))


def _uncaught_in_thread(caught: threading.ExceptHookArgs) -> None:
    if caught.exc_value is not None:
        _uncaught(caught.exc_type, caught.exc_value, caught.exc_traceback)
