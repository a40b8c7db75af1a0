"""An organization's API tokens."""

import uuid

from flask import abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal.extensions import db
from portal.identity import tokens
from portal.identity.forms import ApiTokenForm
from portal.identity.models import Organization
from portal.identity.policy import Permission
from portal.validation import Invalid
from portal.web import guard, token_pages
from portal.web.blueprints import organization as blueprint
from portal.web.forms import put_errors
from portal.web.guard import requires


@blueprint.get("/api-tokens")
@requires(Permission.TOKENS_CHANGE)
def api_tokens(organization: Organization) -> ResponseReturnValue:
    rows = token_pages.rows(tokens.of(organization))
    return render_template("organization/api_tokens.html", organization=organization, rows=rows)


@blueprint.route("/api-tokens/new", methods=["GET", "POST"])
@requires(Permission.TOKENS_CHANGE)
def api_token_new(organization: Organization) -> ResponseReturnValue:
    """Make a token. Its secret stands on the page that answers, once, and nowhere else."""
    form = ApiTokenForm()
    if form.validate_on_submit():
        try:
            token, secret = token_pages.create(organization, form, guard.principal().actor)
            db.session.commit()
        except Invalid as invalid:
            db.session.rollback()
            put_errors(form, invalid)
        else:
            return render_template(
                "organization/api_token_made.html",
                organization=organization,
                token=token,
                secret=secret,
            )
    page = render_template("organization/api_token_new.html", form=form, organization=organization)
    return page, 422 if form.errors else 200


@blueprint.route("/api-tokens/<uuid:token_id>/revoke", methods=["GET", "POST"])
@requires(Permission.TOKENS_CHANGE)
def api_token_revoke(organization: Organization, token_id: uuid.UUID) -> ResponseReturnValue:
    """Says what will happen, then does it."""
    token = tokens.find(organization, token_id) or abort(404)
    form = token_pages.RevokeForm()
    if not form.is_submitted():
        return render_template(
            "organization/api_token_revoke.html", organization=organization, token=token
        )
    tokens.revoke(token, actor=guard.principal().actor)
    name = token.name
    db.session.commit()
    flash(_("The token %(name)s no longer opens anything.", name=name), "success")
    return redirect(url_for("organization.api_tokens", organization=organization.slug), 303)
