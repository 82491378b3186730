"""Plays many rounds: ``python -m tests.nemesis --rounds 200 --seed 1``."""

import argparse
import asyncio
import shutil
import signal
import sys
from collections import Counter, deque
from pathlib import Path
from random import SystemRandom
from typing import Final

from callsheet.service.clock import SystemClock
from callsheet.verify.judge import as_text
from tests.nemesis.plan import plan
from tests.nemesis.rounds import Round, Theatre, open_play, open_theatre
from tests.support.folders import open_folder

ROUNDS_ON_A_STAGE: Final = 10
"""After so many rounds everything starts anew."""


def say(text: str) -> None:
    """Print at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class Score:
    """Counts what happened over all rounds."""

    def __init__(self) -> None:
        self.rounds = 0
        self.broken: list[int] = []
        self.jobs = 0
        self.events = 0
        self.faults: Counter[str] = Counter()
        self.states: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.laws: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()

    def add(self, played: Round) -> None:
        """Count one round."""
        verdict = played.verdict
        self.rounds += 1
        self.ended += Counter(played.ended)
        self.faults += played.struck
        self.reasons += Counter({key: n for key, n in played.reasons.items() if key.startswith("INTERNAL")})
        self.laws += Counter(law.name for law, _ in verdict.broken)
        if not verdict.holds:
            self.broken.append(played.plan.seed)

    def close(self, last: Round) -> None:
        """Count what the last round on a stage shows of all rounds there."""
        self.jobs += last.verdict.jobs
        self.events += last.verdict.events
        self.states += last.verdict.states
        self.calls += last.verdict.calls
        self.errors += last.faults_of_ours

    def lines(self) -> list[str]:
        """Return the figures."""
        shown = {
            "faults": self.faults,
            "jobs by state": self.states,
            "calls": self.calls,
            "laws broken": self.laws,
            "answers INTERNAL": self.reasons,
            "errors in the logs": self.errors,
            "processes that ended by themselves": self.ended,
        }
        return [
            f"{self.rounds} rounds, {self.faults.total()} faults, {self.jobs} jobs, {self.events} events",
            *(f"{name}: {_sums(counter)}" for name, counter in shown.items()),
            f"rounds that broke a law: {', '.join(map(str, self.broken)) or 'none'}",
        ]


def _sums(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counter.most_common()) or "none"


async def _play_all(options: argparse.Namespace, theatre: Theatre, score: Score) -> None:
    for kind, reason in theatre.without.items():
        say(f"left out: {kind}: {reason}")
    seeds = deque(range(options.seed, options.seed + options.rounds))
    while seeds:
        first = seeds[0]
        async with open_play(theatre, f"from-{first}") as play:
            while True:
                played = await play.round(plan(seeds.popleft(), without=tuple(theatre.without)))
                score.add(played)
                _tell(played, first, options.keep)
                on_stage = played.plan.seed - first + 1
                if not (seeds and played.verdict.holds and on_stage < ROUNDS_ON_A_STAGE):
                    break
        score.close(played)
        shutil.rmtree(played.folder)


def _tell(played: Round, first: int, keep: Path) -> None:
    verdict, seed = played.verdict, played.plan.seed
    faults = ", ".join(f"{fault.kind} {fault.for_s:g}s" for fault in played.plan.faults)
    ending = "all laws hold" if verdict.holds else "BROKEN"
    more = f"; ended by themselves: {', '.join(played.ended)}" if played.ended else ""
    say(f"seed {seed}: {faults}; {verdict.jobs} jobs so far; {played.took_s:.1f} s: {ending}{more}")
    for error, times in played.faults_of_ours.items():
        say(f"    logged {times} times: {error}")
    if verdict.holds and not played.faults_of_ours and not played.ended:
        return
    if not verdict.holds:
        for line in as_text(verdict):
            say(f"    {line}")
    kept = keep / f"round-{seed}"
    shutil.copytree(played.folder, kept, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".s.*"))
    say(f"    kept in {kept}; play it again with SEED={first} ROUNDS={seed - first + 1}")


async def _main(options: argparse.Namespace) -> int:
    playing = asyncio.current_task()
    assert playing is not None, "called by asyncio"
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, playing.cancel)
    clock = SystemClock()
    began = clock.monotonic()
    score = Score()
    say(f"rounds {options.rounds}, seeds from {options.seed}")
    with open_folder() as folder:
        async with open_theatre(folder) as theatre:
            try:
                await _play_all(options, theatre, score)
            finally:
                say(f"\n{clock.monotonic() - began:.0f} s")
                for line in score.lines():
                    say(line)
    return 1 if score.broken or score.ended else 0


def main() -> None:
    """Read the arguments and play."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(1_000_000))
    parser.add_argument("--keep", type=Path, default=Path("var/nemesis"), help="where broken rounds are kept")
    options = parser.parse_args()
    options.keep.mkdir(parents=True, exist_ok=True)
    try:
        sys.exit(asyncio.run(_main(options)))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
