"""Logging through structlog: one line an event, as text or JSON, without secrets or addresses."""

import contextlib
import logging
import sys
from typing import TextIO, cast

import structlog


def configure(log_format: str) -> None:
    """Set up the process's logging. `log_format` is "text" or "json"."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, renderer],
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


class _Libraries(logging.Handler):
    """Writes the warnings and errors of libraries like our own lines."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            log = structlog.get_logger(part=record.name)
            log.log(record.levelno, record.getMessage(), exc_info=record.exc_info)
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
