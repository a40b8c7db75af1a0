"""`portal jobs`: the consumer of background and periodic jobs."""

import click

from portal import background, job_queue
from portal.cli import application
from portal.config import Config

# Jobs are not urgent; each look at the queue is a query.
_FIRST_LOOK = 0.2
_LONGEST_LOOK = 5.0
_GRACE_SECONDS = 10


@click.command()
def jobs() -> None:
    """Run background and periodic jobs."""
    app = application.working()
    config: Config = app.extensions["config"]
    huey = job_queue.make_huey(config, str(app.secret_key))
    background.register(huey, app)
    huey.create_consumer(
        workers=1,
        initial_delay=_FIRST_LOOK,
        max_delay=_LONGEST_LOOK,
        graceful_signal="TERM",
        shutdown_timeout=_GRACE_SECONDS,
    ).run()
