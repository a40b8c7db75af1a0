"""What the form of a sender put right, said in words: nothing that was typed changes silently."""

from flask import flash, request
from flask_babel import gettext as _


def tell(stored: str, stored_port: int) -> None:
    """Flash what was stored otherwise than it was typed in this request."""
    server = request.form.get("server", "").strip()
    if server and server.lower().rstrip(".") not in (stored, f"[{stored}]"):
        flash(_("The SMTP server was stored as %(server)s.", server=stored), "success")
    port = request.form.get("port", "").strip()
    if port and port != str(stored_port):
        said = _(
            "Port %(typed)s is usual for another encryption; %(port)s was stored.",
            typed=port,
            port=stored_port,
        )
        flash(said, "success")
