"""Flask-Mail's bulk connection."""

import time

from flask import Flask
from flask_mail import Mail, Message
from letter import Letter, arguments, recipient, tell

chosen = arguments()
app = Flask(__name__)
app.config.update(MAIL_SERVER="127.0.0.1", MAIL_PORT=chosen.port)
mail = Mail(app)
letter = Letter(chosen.size)
with app.app_context():
    start = time.monotonic()
    with mail.connect() as connection:
        for number in range(chosen.mails):
            connection.send(
                Message(
                    "[critical] Disk full on db-3",
                    sender="alerts@globex.test",
                    recipients=[recipient(number)],
                    body=letter.text(number),
                    html=letter.html(number),
                )
            )
    tell(chosen.mails, start)
