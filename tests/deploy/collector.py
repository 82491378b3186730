"""A collector of traces on port 4317 that prints each span as a line of JSON."""

import asyncio
import json
import sys
from dataclasses import asdict
from typing import Final

from tests.support.collecting import collecting

LOOK_S: Final = 0.2


async def main() -> None:
    """Print spans for as long as somebody lets it."""
    told = 0
    async with collecting("0.0.0.0:4317") as collector:
        while True:
            spans = list(collector.spans())
            for span in spans[told:]:
                sys.stdout.write(f"{json.dumps(asdict(span))}\n")
            sys.stdout.flush()
            told = len(spans)
            await asyncio.sleep(LOOK_S)


if __name__ == "__main__":
    asyncio.run(main())
