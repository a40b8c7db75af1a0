"""The usual loop: smtplib, one reused connection, Jinja2 and EmailMessage for each mail."""

import smtplib
import time

from letter import Letter, arguments, tell

chosen = arguments()
letter = Letter(chosen.size)
start = time.monotonic()
with smtplib.SMTP("127.0.0.1", chosen.port) as server:
    for number in range(chosen.mails):
        server.send_message(letter.message(number))
tell(chosen.mails, start)
