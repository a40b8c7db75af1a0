"""The application for a WSGI server: `gunicorn wsgi:app`. The database must be migrated."""

from portal.cli import application

app = application.serving()
