"""``python -m tests.chaos``: random histories for as long as it is told, or one of them again."""

from __future__ import annotations

import json
import random
import sys
import time
from typing import Annotated

import typer

from tests.chaos.histories import FEATURES, KINDS, Failure, stage


def main(
    seconds: Annotated[float, typer.Option(help="How long histories are begun.")] = 60,
    seed: Annotated[int | None, typer.Option(help="Of the first history; the others follow it.")] = None,
    only: Annotated[str, typer.Option(help="Numbers of the steps to carry out of one history, such as 0,3,7.")] = "",
    histories: Annotated[int, typer.Option(help="At most so many.")] = 1_000_000,
    without: Annotated[str, typer.Option(help="Features to do without, such as pause,events.")] = "",
    kinds: Annotated[str, typer.Option(help="Kinds of imports that each history has, such as split.")] = "",
    keep_going: Annotated[bool, typer.Option(help="Go on after a broken promise.")] = False,
    shorten: Annotated[bool, typer.Option(help="Look for fewer steps that break the same promise.")] = True,
) -> None:
    """Play random histories against the local services, and hold the promises of docs/refreshes.md.

    Prints the seed of each history that breaks a promise; ends with 1 then.
    """
    left_out = frozenset(filter(None, without.split(",")))
    if unknown := left_out - FEATURES:
        raise typer.BadParameter(f"{sorted(unknown)}: the features are {sorted(FEATURES)}", param_hint="--without")
    chosen = frozenset(filter(None, kinds.split(",")))
    if unknown := chosen - KINDS.keys():
        raise typer.BadParameter(f"{sorted(unknown)}: the kinds are {sorted(KINDS)}", param_hint="--kinds")
    first = random.SystemRandom().randrange(2**31) if seed is None else seed
    print(f"seed {first}", flush=True)
    steps = [int(number) for number in only.split(",")] if only else None
    failures: list[Failure] = []
    with stage(without=left_out, kinds=chosen) as played:
        give_up = time.monotonic() + seconds
        number = 0
        while number < (1 if steps is not None else histories) and time.monotonic() < give_up:
            failure = played.play(first + number, steps)
            number += 1
            if failure is None:
                continue
            is_known = failure.promise in {each.promise for each in failures}
            if shorten and steps is None and not (keep_going and is_known):
                failure = played.shorten(failure)
            failures.append(failure)
            print(f"\n{failure}")
            sys.stdout.flush()
            if not keep_going:
                break
        tally = played.tally
    print(f"\n{tally}")
    print(json.dumps({"seed": first, "counts": tally.to_json(), "failures": [each.to_json() for each in failures]}))
    raise typer.Exit(1 if failures else 0)


if __name__ == "__main__":
    typer.run(main)
