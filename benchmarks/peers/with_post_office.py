"""django-post_office: the queue in SQLite, templates rendered at delivery, its own processes.

Prints two lines: mails a second handed over, and mails a second taken in by send_many.
"""

import tempfile
import time
from pathlib import Path

import django
from django.conf import settings
from letter import arguments, html_source, recipient

chosen = arguments()
folder = tempfile.TemporaryDirectory()
settings.configure(
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(Path(folder.name) / "queue.sqlite3"),
            "OPTIONS": {"init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"},
        }
    },
    INSTALLED_APPS=["django.contrib.contenttypes", "post_office"],
    EMAIL_BACKEND="post_office.EmailBackend",
    EMAIL_HOST="127.0.0.1",
    EMAIL_PORT=chosen.port,
    POST_OFFICE={"BACKENDS": {"default": "django.core.mail.backends.smtp.EmailBackend"}},
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
)
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from post_office import mail  # noqa: E402
from post_office.models import STATUS, Email, EmailTemplate  # noqa: E402

call_command("migrate", verbosity=0)
template = EmailTemplate.objects.create(
    name="alert",
    subject="[critical] Disk full on db-3",
    content="{{ person }}, disk full on db-3.",
    html_content=html_source(chosen.size),
)
began = time.monotonic()
mail.send_many(
    [
        {
            "recipients": [recipient(number)],
            "sender": "alerts@globex.test",
            "template": template,
            "context": {"person": f"Person {number}"},
            "render_on_delivery": True,
        }
        for number in range(chosen.mails)
    ]
)
taken_in = chosen.mails / (time.monotonic() - began)
connection.close()
start = time.monotonic()
while Email.objects.exclude(status=STATUS.sent).exists():
    connection.close()
    mail.send_queued(processes=chosen.processes)
print(chosen.mails / (time.monotonic() - start))  # noqa: T201
print(taken_in)  # noqa: T201
