"""Access tokens for logins by OAuth2 (RFC 6749): fetched, kept while they last, renewed.

Nothing here knows SMTP: a driver fetches the token first and hands it to the dialogue. Tokens lie
in memory only, one for each bundle with its secret, so that no owner gets another's.
"""

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from portal import clock
from portal.destinations import Guard
from portal.smtp import oauth2_answers, oauth2_endpoint, oauth2_grants
from portal.smtp.causes import Cause
from portal.smtp.oauth2_answers import Token
from portal.smtp.values import Bundle, Failure, Phase, SessionFailed

# A token is renewed so many seconds before it expires, or at four fifths of a short life.
_EARLY = 300.0
_MOST_KEPT = 2000


def access_token(
    bundle: Bundle, *, guard: Guard, rotated: Callable[[str], None] | None = None
) -> str:
    """The access token to log in with; from memory while it lasts. May wait for the network.

    The token endpoint has the bundle's `connect_timeout` to connect and as much as
    `command_timeout` to answer. `rotated` is called with the new refresh token where the endpoint
    gave one: store it in place of the bundle's; until then this process remembers it. Raises
    SessionFailed, always with the phase AUTH.
    """
    kept = _kept_for(bundle)
    if not kept.lock.acquire(timeout=bundle.connect_timeout + bundle.command_timeout):
        detail = "another session has been waiting for the token too long"
        raise SessionFailed(Failure(Phase.AUTH, Cause.TOKEN_UNAVAILABLE, detail=detail))
    try:
        if kept.is_good:
            return kept.value
        # Only the newest refresh token is sure to be valid, whatever the caller has stored.
        current = replace(bundle, refresh_token=kept.refresh_token or bundle.refresh_token)
        token = _fetch(current, guard)
        kept.take(token)
    finally:
        kept.lock.release()
    if token.refresh_token and token.refresh_token != current.refresh_token:
        _rename(bundle, token.refresh_token, kept)
        if rotated:
            rotated(token.refresh_token)
    return token.value


def forget(bundle: Bundle, token: str) -> None:
    """Drops this token, which a server refused; the next session fetches a new one."""
    kept = _kept_for(bundle)
    with kept.lock:
        if kept.value == token:
            kept.good_until = 0.0


@dataclass
class _Kept:
    """What is known of one bundle. `good_until` is an instant of `clock.monotonic`."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    value: str = field(default="", repr=False)
    good_until: float = 0.0
    refresh_token: str | None = field(default=None, repr=False)

    @property
    def is_good(self) -> bool:
        return clock.monotonic() < self.good_until

    def take(self, token: Token) -> None:
        early = min(_EARLY, token.lasts / 5)
        self.value = token.value
        self.good_until = clock.monotonic() + token.lasts - early
        self.refresh_token = token.refresh_token or self.refresh_token


_all: OrderedDict[str, _Kept] = OrderedDict()
_all_lock = threading.Lock()


def _kept_for(bundle: Bundle) -> _Kept:
    return _put(_digest(bundle), None)


def _rename(bundle: Bundle, refresh_token: str, kept: _Kept) -> None:
    """The bundle as it is once the caller has stored the new refresh token has this token too."""
    _put(_digest(replace(bundle, refresh_token=refresh_token)), kept)


def _put(digest: str, kept: _Kept | None) -> _Kept:
    """Keeps it under the digest, or what is there already; the longest unused go first."""
    with _all_lock:
        found = kept or _all.get(digest) or _Kept()
        _all[digest] = found
        _all.move_to_end(digest)
        while len(_all) > _MOST_KEPT:
            _all.popitem(last=False)
        return found


def _digest(bundle: Bundle) -> str:
    """Whose token it is, where it goes, and by which secrets it was had."""
    parts = [
        bundle.owner,
        bundle.server,
        bundle.port,
        bundle.encryption,
        bundle.verify,
        bundle.ca,
        bundle.authentication,
        bundle.login_name,
        bundle.client_id,
        bundle.token_url,
        bundle.scope,
        bundle.secret,
        bundle.refresh_token,
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _fetch(bundle: Bundle, guard: Guard) -> Token:
    try:
        endpoint = oauth2_endpoint.read(bundle.token_url or "")
        form = oauth2_grants.form_of(bundle)
    except oauth2_grants.Incomplete as problem:
        failure = Failure(Phase.AUTH, Cause.OAUTH_INCOMPLETE, detail=str(problem))
    else:
        answer = oauth2_endpoint.post(endpoint, form, bundle=bundle, guard=guard)
        outcome = oauth2_answers.read(answer, secrets=oauth2_grants.secrets_of(bundle, form))
        if isinstance(outcome, Token):
            return outcome
        failure = outcome
    # Outside of the handler: a chained exception would hold what was read.
    raise SessionFailed(failure)
