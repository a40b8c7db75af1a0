"""`portal admin` and `portal token`: the first people and systems, without a page."""

import sys

import click
from sqlalchemy import select

from portal.audit.log import OPERATOR
from portal.cli import application
from portal.cli.failures import Failed
from portal.extensions import db
from portal.identity import administrators, organizations, person_names, tokens, users
from portal.identity.models import Organization, User
from portal.identity.policy import Scope


@click.group()
def admin() -> None:
    """System administrators."""


@admin.command("create")
@click.argument("email")
@click.option("--name", help="The person's name; made of the address unless given.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
def create_admin(email: str, name: str | None, password_stdin: bool) -> None:
    """Make EMAIL a system administrator; sends no mail."""
    app = application.prepared()
    with app.app_context():
        user = users.by_email(email)
        if user is None or user.password_hash is None:
            # No transaction stays open while somebody types.
            db.session.rollback()
            password = _password(password_stdin)
            user = _with_password(email, name, password)
        elif user.is_system_administrator:
            raise Failed(f"{user.email} is a system administrator already. Nothing to do.")
        administrators.add(user, actor=OPERATOR)
        address = user.email
        db.session.commit()
    click.echo(f"{address} is a system administrator and can sign in.")


@click.group()
def token() -> None:
    """API tokens."""


@token.command("create")
@click.option(
    "--organization", "slug", metavar="SLUG", help="Whose token; the host's unless given."
)
@click.option("--name", required=True, help="The system that will use it, for example ci.")
@click.option(
    "--scope",
    "scopes",
    required=True,
    help=f"One or more of {', '.join(Scope)}, with commas between.",
)
def create_token(slug: str | None, name: str, scopes: str) -> None:
    """Make an API token and print it, once."""
    wanted = [scope.strip() for scope in scopes.split(",") if scope.strip()]
    if not wanted or not set(wanted) <= set(Scope):
        raise click.BadParameter(f"use {', '.join(Scope)}.", param_hint="--scope")
    app = application.prepared(_on_stderr)
    with app.app_context():
        organization = find_organization(slug) if slug is not None else None
        row, secret = tokens.create(organization, name=name, scopes=wanted, actor=OPERATOR)
        db.session.commit()
        made = row.name
    _on_stderr(f"API token {made} created. Keep it now; it is not shown again.")
    click.echo(secret)


def find_organization(slug: str) -> Organization:
    """Raises Failed with the organizations that there are."""
    found = organizations.by_slug(slug)
    if found is None:
        known = db.session.scalars(select(Organization.slug).order_by(Organization.slug).limit(10))
        names = ", ".join(known) or "none yet"
        raise Failed(f"There is no organization {slug}. There are: {names}.")
    return found


def _with_password(email: str, name: str | None, password: str) -> User:
    user = users.by_email(email)
    if user is None:
        return users.create(
            email=email,
            name=name or person_names.from_address(email),
            password=password,
            actor=OPERATOR,
        )
    users.give_password(user, name=name or user.name, password=password)
    return user


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.read().removesuffix("\n").removesuffix("\r")
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))


def _on_stderr(line: str) -> None:
    click.echo(line, err=True)
