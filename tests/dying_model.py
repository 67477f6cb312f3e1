"""A language model that answers once and is killed while it thinks about the second question: its address on stdout."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from fault_server import fault_server
from language_models import chat, told


async def killed(_writer: asyncio.StreamWriter) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def main() -> None:
    async with fault_server(chat(told()), killed) as server:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        await asyncio.sleep(120)


if __name__ == "__main__":
    asyncio.run(main())
