"""Which deliveries may share one mail template: the key holds all that a letter depends on."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from portal.kinds import Kind
from portal.letters.compose import Identity
from portal.letters.words import Language


@dataclass(frozen=True, kw_only=True)
class TemplateKey:
    """Equal keys make equal mails, but for To, Date and Message-ID.

    `timezone` is empty for a letter without times. The payload's id stands for kind and data: a
    payload is never changed.
    """

    payload_id: uuid.UUID
    language: Language
    timezone: str
    identity: Identity
    from_name: str
    from_address: str
    reply_to: str | None
    references: tuple[str, ...]


def key(
    kind: Kind,
    data: Mapping[str, Any],
    *,
    payload_id: uuid.UUID,
    language: Language,
    timezone: str,
    identity: Identity,
    from_name: str,
    from_address: str,
    reply_to: str | None,
    references: tuple[str, ...],
) -> TemplateKey | None:
    """The key of a letter; None for one that is always built and parsed by itself.

    That is security mail, and every kind with secret variables: their values differ from
    recipient to recipient and must not stay in memory.
    """
    if kind.is_security or kind.secrets:
        return None
    has_times = any(name.endswith("_at") and data.get(name) for name in kind.variables)
    return TemplateKey(
        payload_id=payload_id,
        language=language,
        timezone=timezone if has_times else "",
        identity=identity,
        from_name=from_name,
        from_address=from_address,
        reply_to=reply_to,
        references=references,
    )
