"""A worker process: reads one trial per line of its standard input, and writes one result per line."""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading

from hwsim.loading import loading

ENVIRONMENT = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
"""One thread per worker: workers run side by side, and sums do not depend on the number of cores."""


def main() -> None:
    """Work until the input ends, which also happens when the parent process dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # the output of libraries goes to the error stream
    asked: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(asked,), daemon=True).start()

    with loading():
        from hwsim.experiments.study.trial import carry_out

    print("ready", file=answers)
    while True:
        print(json.dumps(carry_out(*json.loads(asked.get()))), file=answers)


def _listen(asked: queue.SimpleQueue[str]) -> None:
    for line in sys.stdin:
        asked.put(line)
    os._exit(0)  # nobody is waiting for the trial that is under way


if __name__ == "__main__":
    main()
