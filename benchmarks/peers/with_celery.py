"""Celery: one task and one connection a mail, messages of the broker in files."""

import smtplib
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from celery import Celery
from letter import Letter, arguments

app = Celery("peer")


@app.task(name="send", ignore_result=True)
def send(number: int, port: int, size: int) -> None:
    with smtplib.SMTP("127.0.0.1", port) as server:
        server.send_message(Letter(size).message(number))


def _configure(folder: str) -> None:
    for name in ("queue", "processed"):
        (Path(folder) / name).mkdir(exist_ok=True)
    app.conf.update(
        broker_url="filesystem://",
        broker_transport_options={
            "data_folder_in": f"{folder}/queue",
            "data_folder_out": f"{folder}/queue",
            "processed_folder": f"{folder}/processed",
            "store_processed": False,
        },
        task_acks_late=True,
        worker_prefetch_multiplier=4,
    )


def main() -> None:
    chosen = arguments()
    with tempfile.TemporaryDirectory() as folder:
        _configure(folder)
        for number in range(chosen.mails):
            send.delay(number, chosen.port, chosen.size)
        command = [sys.executable, __file__, "worker", folder, str(chosen.processes)]
        worker = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        queue = Path(folder) / "queue"
        while len(list(queue.iterdir())) == chosen.mails:
            time.sleep(0.01)
        start = time.monotonic()
        while any(queue.iterdir()):
            time.sleep(0.05)
        took = time.monotonic() - start
        worker.terminate()
        worker.wait()
    print(chosen.mails / took)  # noqa: T201


if __name__ == "__main__":
    if sys.argv[1:2] == ["worker"]:
        _configure(sys.argv[2])
        app.worker_main(["worker", "--concurrency", sys.argv[3], "--loglevel", "ERROR"])
    else:
        main()
