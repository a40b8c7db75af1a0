"""Writing the mail of a begun delivery: from its payload to wire content."""

import uuid
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import current_app
from sqlalchemy.exc import SQLAlchemyError

from portal import logs
from portal.delivery import identity, letter_templates, outbox
from portal.delivery.beginning import Begun
from portal.delivery.letter_templates import TemplateKey
from portal.delivery.models import Payload
from portal.extensions import db
from portal.letters.compose import BrokenLetter, compose
from portal.settings.scope import Scope
from portal.smtp.fast_message import MessageTemplate, Parts
from portal.smtp.message import UnsafeMessage, build_message
from portal.smtp.wire import content_bytes
from portal.vault import VaultError

_log = logs.logger("delivery")
_MOST_KEPT = 256
# Octets; a template whose letter carries a logo holds the whole image.
_LARGEST_TEMPLATES = 32 * 1024 * 1024


@dataclass(frozen=True)
class Unwritten:
    """The letter could not be written; None: the key of its links is missing."""

    problem: str | None


@dataclass(frozen=True)
class _Content:
    """What a notification says; never changed once it was enqueued."""

    data: Mapping[str, Any]
    thread: str | None


class Writer:
    """Keeps what it met last: the payloads, and a template for each notification and language."""

    def __init__(self) -> None:
        self._payloads: OrderedDict[uuid.UUID, _Content] = OrderedDict()
        self._templates: OrderedDict[TemplateKey, MessageTemplate] = OrderedDict()
        self._size = 0

    def write(self, begun: Begun) -> bytes | Unwritten:
        """Finished wire content, with its dots stuffed. Raises SQLAlchemyError while the database
        is away; changes nothing in it."""
        try:
            return self._written(begun)
        except SQLAlchemyError:
            raise
        except VaultError:
            return Unwritten(None)
        except (BrokenLetter, UnsafeMessage) as problem:
            return Unwritten(str(problem))
        except Exception as problem:
            # Whatever breaks one letter breaks it at every try, and must not stop the others.
            _log.error("letter broken", delivery=str(begun.claim.delivery_id), exc_info=problem)
            return Unwritten(type(problem).__name__)

    def _written(self, begun: Begun) -> bytes:
        payload = self._payload(begun.payload_id)
        key = _template_key(begun, payload)
        template = self._templates.get(key) if key else None
        if template is None:
            parts = _parts(begun, payload)
            if key is None:
                return _built(begun, parts)
            template = MessageTemplate.of(
                parts, recipient=begun.recipient, message_id=begun.message_id, date=begun.date
            )
            self._keep(key, template)
        filled = template.fill(
            recipient=begun.recipient, message_id=begun.message_id, date=begun.date
        )
        return filled if filled is not None else _built(begun, _parts(begun, payload))

    def _payload(self, payload_id: uuid.UUID) -> _Content:
        if payload_id not in self._payloads:
            row = db.session.get_one(Payload, payload_id)
            self._payloads[payload_id] = _Content(row.data, row.thread)
            if len(self._payloads) > _MOST_KEPT:
                self._payloads.popitem(last=False)
        return self._payloads[payload_id]

    def _keep(self, key: TemplateKey, template: MessageTemplate) -> None:
        self._templates[key] = template
        self._size += template.size
        while len(self._templates) > _MOST_KEPT or self._size > _LARGEST_TEMPLATES:
            self._size -= self._templates.popitem(last=False)[1].size


def _template_key(begun: Begun, payload: _Content) -> TemplateKey | None:
    return letter_templates.key(
        begun.kind,
        payload.data,
        payload_id=begun.payload_id,
        language=identity.known(begun.language),
        timezone=begun.timezone,
        identity=begun.identity,
        from_name=begun.sender.from_name,
        from_address=begun.sender.from_address,
        reply_to=begun.sender.reply_to,
        references=_thread(payload.thread),
    )


def _parts(begun: Begun, payload: _Content) -> Parts:
    """Raises BrokenLetter, UnsafeMessage or VaultError."""
    organization_id = None if begun.kind.is_security else begun.claim.organization_id
    written_as, images = identity.and_images(begun.identity, Scope(organization_id))
    letter = compose(
        begun.kind,
        {**payload.data, **outbox.secrets_of(begun.claim.delivery_id)},
        identity=written_as,
        language=identity.known(begun.language),
        timezone=begun.timezone,
    )
    return Parts(
        from_name=begun.sender.from_name,
        from_address=begun.sender.from_address,
        subject=letter.subject,
        text=letter.text,
        html=letter.html,
        reply_to=begun.sender.reply_to,
        references=_thread(payload.thread),
        images=images,
    )


def _built(begun: Begun, parts: Parts) -> bytes:
    return content_bytes(
        build_message(
            message_id=begun.message_id,
            date=begun.date,
            to_address=begun.recipient,
            **vars(parts),
        )
    )


def _thread(thread: str | None) -> tuple[str, ...]:
    """The id that all mails of one alert or approval refer to, so that mail clients group them."""
    if thread is None:
        return ()
    return (f"<{thread}@{current_app.extensions['config'].base_host}>",)
