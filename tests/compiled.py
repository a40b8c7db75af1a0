"""What every application compiles for itself, compiled once in a process: its routes, its templates
and its SQL.

A test makes an application of its own: without this, most of its time would go to compiling what
was compiled for the test before.
"""

from collections.abc import Callable
from types import CodeType, MethodType

import pytest
from flask import Flask
from jinja2.bccache import Bucket, BytecodeCache
from sqlalchemy import Engine, event
from sqlalchemy.engine.default import DefaultDialect
from werkzeug.routing import Rule


def once(patch: pytest.MonkeyPatch) -> None:
    """Every application that is made from now on takes what one before it compiled."""
    patch.setattr(Flask, "jinja_options", {**Flask.jinja_options, "bytecode_cache": _Templates()})
    patch.setattr(Rule, "compile", _each_once(Rule.compile))
    patch.setattr(DefaultDialect, "engine_created", classmethod(_Statements()))


class _Templates(BytecodeCache):
    """Keeps what a template was compiled to, for as long as its source stays what it was."""

    def __init__(self) -> None:
        self._codes: dict[tuple[str, str], CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._codes.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        assert bucket.code is not None
        self._codes[bucket.key, bucket.checksum] = bucket.code


def _each_once(compile_rule: Callable[[Rule], None]) -> Callable[[Rule], None]:
    """What a route is compiled to follows from these alone."""
    known: dict[object, Rule] = {}

    def compiled(rule: Rule) -> None:
        assert rule.map is not None
        written = (rule.rule, rule.subdomain, rule.host, rule.merge_slashes, rule.map.host_matching)
        defaults = frozenset((rule.defaults or {}).items())
        key = (written, defaults, frozenset(rule.map.converters.items()))
        first = known.setdefault(key, rule)
        if first is rule:
            compile_rule(rule)
            return
        rule.arguments |= first.arguments
        rule._parts, rule._trace, rule._converters = first._parts, first._trace, first._converters
        rule._build = MethodType(first._build.__func__, rule)
        rule._build_unknown = MethodType(first._build_unknown.__func__, rule)

    return compiled


class _Statements:
    """Compiled SQL is kept by dialect: the first engine that connected lends its own, which knows
    by then whom it speaks to."""

    def __init__(self) -> None:
        self._first: dict[str, Engine] = {}

    def __call__(self, _dialect: type[DefaultDialect], engine: Engine) -> None:
        name = engine.dialect.name
        if first := self._first.get(name):
            engine.dialect = engine.pool._dialect = first.dialect
            engine._compiled_cache = first._compiled_cache
        else:
            event.listen(engine, "connect", lambda *_: self._first.setdefault(name, engine))
