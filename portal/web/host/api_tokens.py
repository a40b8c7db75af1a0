"""The host's API tokens."""

import uuid

from flask import abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal.extensions import db
from portal.identity import tokens
from portal.identity.forms import ApiTokenForm
from portal.identity.policy import Permission
from portal.validation import Invalid
from portal.web import guard, token_pages
from portal.web.blueprints import host as blueprint
from portal.web.forms import put_errors
from portal.web.guard import requires


@blueprint.get("/api-tokens")
@requires(Permission.HOST_TOKENS_CHANGE)
def api_tokens() -> ResponseReturnValue:
    return render_template("host/api_tokens.html", rows=token_pages.rows(tokens.of(None)))


@blueprint.route("/api-tokens/new", methods=["GET", "POST"])
@requires(Permission.HOST_TOKENS_CHANGE)
def api_token_new() -> ResponseReturnValue:
    """Make a token. Its secret stands on the page that answers, once, and nowhere else."""
    form = ApiTokenForm()
    if form.validate_on_submit():
        try:
            token, secret = token_pages.create(None, form, guard.principal().actor)
            db.session.commit()
        except Invalid as invalid:
            db.session.rollback()
            put_errors(form, invalid)
        else:
            return render_template("host/api_token_made.html", token=token, secret=secret)
    page = render_template("host/api_token_new.html", form=form)
    return page, 422 if form.errors else 200


@blueprint.route("/api-tokens/<uuid:token_id>/revoke", methods=["GET", "POST"])
@requires(Permission.HOST_TOKENS_CHANGE)
def api_token_revoke(token_id: uuid.UUID) -> ResponseReturnValue:
    """Says what will happen, then does it."""
    token = tokens.find(None, token_id) or abort(404)
    if not token_pages.RevokeForm().is_submitted():
        return render_template("host/api_token_revoke.html", token=token)
    tokens.revoke(token, actor=guard.principal().actor)
    name = token.name
    db.session.commit()
    flash(_("The token %(name)s no longer opens anything.", name=name), "success")
    return redirect(url_for("host.api_tokens"), 303)
