"""A token endpoint (RFC 6749) on a real socket with TLS: honest unless told to misbehave.

    with TokenServer(clients={"portal": "secret"}) as server:
        ...
        assert server.requests[0]["grant_type"] == "client_credentials"

`answers` are given in place of honest ones, first come first served; None is an honest one.
"""

import base64
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import socket
from typing import Any, Self
from urllib.parse import parse_qs

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests import smtp_certificates
from tests.smtp_certificates import Certificate

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
JSON = "application/json"


@dataclass(frozen=True)
class Said:
    """One HTTP answer. `raw` writes whatever it likes instead."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: Callable[["Exchange"], None] | None = None


def refusal(error: str, description: str = "", *, status: int = 401) -> Said:
    """An OAuth2 error (RFC 6749, 5.2)."""
    return Said(status, json.dumps({"error": error, "error_description": description}).encode())


class TokenServer:
    """Runs while its `with` block does.

    `clients` maps client ids to secrets, `accounts` addresses of service accounts to their public
    keys, `refresh_tokens` are those that are taken; with `rotate` each is good for one use and
    followed by another. `live` holds the access tokens that were issued and not revoked. Without
    `tls` it speaks http.
    """

    def __init__(
        self,
        *,
        clients: Mapping[str, str] | None = None,
        accounts: Mapping[str, rsa.RSAPublicKey] | None = None,
        refresh_tokens: Sequence[str] = (),
        rotate: bool = False,
        expires_in: Any = 3600,
        token: str = "access-token-{}",
        answers: Sequence[Said | None] = (),
        certificate: Certificate | None = None,
        tls: bool = True,
    ) -> None:
        self.clients = clients or {}
        self.accounts = accounts or {}
        self.refresh_tokens = set(refresh_tokens)
        self.rotate = rotate
        self.expires_in = expires_in
        self.answers = list(answers)
        self.live: set[str] = set()
        self.requests: list[dict[str, str]] = []
        self.heads: list[str] = []
        self.connections = 0
        self.bytes_received = 0
        self.stopping = threading.Event()
        self._token = token
        self._lock = threading.Lock()
        self._certificate = certificate or smtp_certificates.valid()
        self.context = self._certificate.server_context() if tls else None

    @property
    def ca(self) -> str:
        return self._certificate.ca

    @property
    def port(self) -> int:
        return int(self._http.server_address[1])

    @property
    def url(self) -> str:
        scheme = "https" if self.context else "http"
        return f"{scheme}://smtp.acme.test:{self.port}/tenant/token?v=2"

    def answer(self, form: dict[str, str]) -> Said:
        """What the endpoint says to one form."""
        with self._lock:
            self.requests.append(form)
            scripted = self.answers.pop(0) if self.answers else None
            return scripted or self._honest(form)

    def __enter__(self) -> Self:
        self._http = _Server(("127.0.0.1", 0), self)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(5)

    def _honest(self, form: dict[str, str]) -> Said:
        match form.get("grant_type"):
            case "client_credentials":
                problem = self._client_problem(form)
            case "refresh_token":
                known = form.get("refresh_token") in self.refresh_tokens
                problem = self._client_problem(form) if known else refusal("invalid_grant")
            case _ if form.get("grant_type") == JWT_BEARER:
                problem = self._assertion_problem(form.get("assertion", ""))
            case _:
                problem = refusal("unsupported_grant_type", status=400)
        return problem or self._issued(form)

    def _client_problem(self, form: dict[str, str]) -> Said | None:
        if self.clients.get(form.get("client_id", "")) == form.get("client_secret", ""):
            return None
        return refusal("invalid_client", "AADSTS7000215: Invalid client secret provided.")

    def _assertion_problem(self, assertion: str) -> Said | None:
        content, _, signature = assertion.rpartition(".")
        header, claims = (json.loads(decoded(part)) for part in content.split("."))
        try:
            assert header["alg"] == "RS256"
            assert claims["aud"] == self.url
            self.accounts[claims["iss"]].verify(
                decoded(signature), content.encode(), padding.PKCS1v15(), hashes.SHA256()
            )
        except (InvalidSignature, KeyError, AssertionError):
            return refusal("invalid_grant", "Invalid JWT Signature.", status=400)
        return None

    def _issued(self, form: dict[str, str]) -> Said:
        token = self._token.format(len(self.requests))
        self.live.add(token)
        answer: dict[str, Any] = {"token_type": "Bearer", "access_token": token}
        if self.expires_in is not None:
            answer["expires_in"] = self.expires_in
        if self.rotate:
            self.refresh_tokens = {f"refresh-token-{len(self.requests)}"}
            (answer["refresh_token"],) = self.refresh_tokens
        return Said(body=json.dumps(answer).encode())


class Exchange(BaseHTTPRequestHandler):
    """One connection."""

    server: "_Server"

    def setup(self) -> None:
        if self.server.owner.context:
            self.request = self.server.owner.context.wrap_socket(self.request, server_side=True)
        super().setup()

    def do_POST(self) -> None:
        owner = self.server.owner
        body = self.rfile.read(int(self.headers["Content-Length"]))
        owner.bytes_received += len(body)
        owner.heads.append(f"{self.requestline}\n{self.headers}")
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        said = owner.answer(form)
        if said.raw:
            said.raw(self)
            return
        self.send_response(said.status)
        for name, value in {"Content-Type": JSON, **said.headers}.items():
            self.send_header(name, value)
        if "Transfer-Encoding" not in said.headers:
            self.send_header("Content-Length", str(len(said.body)))
        self.end_headers()
        self.wfile.write(said.body)

    def log_message(self, *_: object) -> None:
        """Tests ask the server itself what it saw."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], owner: TokenServer) -> None:
        self.owner = owner
        super().__init__(address, Exchange)

    def get_request(self) -> tuple[socket, Any]:
        connection = super().get_request()
        self.owner.connections += 1
        return connection

    def handle_error(self, *_: object) -> None:
        """A client that hangs up, or trusts no certificate, is what some tests want."""


def decoded(part: str) -> bytes:
    """Base64url without its padding, as in a JWT."""
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
