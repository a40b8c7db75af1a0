"""Kill workers and drop connections while thousands of mails go out, then prove that every promise
was kept.

    python -m tests.chaos [--database sqlite|postgresql|both] [--mails 10000] [--kills 200]
                          [--drops 200] [--restarts 5] [--workers 3] [--seed 1]

PostgreSQL is also taken away and brought back a few times, by an immediate stop.

Ends with 1 where anything was lost, sent twice without a fault, sent in another's name, or told
wrongly by the records; what is printed then names each delivery.
"""

import argparse
import sys
import time

from tests.chaos.campaign import Outcome, Plan, run
from tests.chaos.installing import fresh
from tests.databases import EngineName

_SHOWN = 50
_NAMES = {EngineName.SQLITE: "SQLite", EngineName.POSTGRESQL: "PostgreSQL"}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos", description=(__doc__ or "").partition("\n\n")[0]
    )
    parser.add_argument("--database", choices=[*EngineName, "both"], default="both")
    parser.add_argument("--mails", type=int, default=Plan.mails)
    parser.add_argument("--kills", type=int, default=Plan.kills)
    parser.add_argument("--drops", type=int, default=Plan.drops)
    parser.add_argument("--restarts", type=int, default=Plan.restarts, help="of PostgreSQL")
    parser.add_argument("--workers", type=int, default=Plan.workers)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    chosen = vars(parser.parse_args())
    database = chosen.pop("database")
    plan = Plan(**chosen)
    if not plan.restarts <= plan.kills <= plan.mails >= plan.drops:
        parser.error(
            "give at least as many mails as kills and drops, and as many kills as restarts"
        )
    engines = list(EngineName) if database == "both" else [EngineName(database)]
    kept = [_kept(engine, plan) for engine in engines]
    sys.exit(0 if all(kept) else 1)


def _kept(engine: EngineName, plan: Plan) -> bool:
    _say(
        f"{_NAMES[engine]}: {plan.mails:,} mails, {plan.kills} kills, {plan.drops} drops, "
        f"{plan.workers} workers, --seed {plan.seed}"
    )
    with fresh(engine) as installed:
        outcome = run(installed.app, installed.folder, plan, installed.restart)
    _say(*report(outcome))
    return not outcome.wrong


def report(outcome: Outcome) -> list[str]:
    """A run in lines to read."""
    verdict, faults = outcome.verdict, outcome.faults
    kills = faults.strikes
    standing = sum(len(strike.standing) for strike in kills)
    states = ", ".join(f"{count:,} {state}" for state, count in sorted(verdict.states.items()))
    return [
        f"  promised      {verdict.promised:,} mails: {states}",
        f"  kills         {len(kills)}, of which {sum(not strike.was_told for strike in kills)} "
        f"left to the leases; they met {sum(strike.held for strike in kills):,} claimed mails, "
        f"{standing} of them between final dot and commit",
        f"  drops         {len(faults.drops)} after the final dot; "
        f"{sum(dot.is_copy for dot in faults.drops)} of those mails were taken",
        f"  restarts      {faults.restarts} of the database",
        f"  recoveries    {verdict.recoveries:,} counted on deliveries",
        f"  copies        {verdict.copies:,} at the sink; {verdict.extra_copies} extra ones, where "
        f"{standing + len(faults.drops)} may be; {verdict.marked} mails are marked",
        f"  unknown       {verdict.unknown_without_copy} of the unknown never reached anybody, and "
        "their records say that this is not known",
        f"  duration      {outcome.seconds:.0f} s",
        *(f"  WRONG         {what}" for what in outcome.wrong[:_SHOWN]),
        f"  {len(outcome.wrong)} things are wrong."
        if outcome.wrong
        else "  Every promise was kept.",
    ]


def _say(*lines: str) -> None:
    sys.stdout.write("\n".join([*lines, ""]))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
