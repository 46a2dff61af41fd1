"""A process that measures one variant whenever it is told to: `python -m benchmarks.worker NAME`.

Each variant has a process of its own, so that no framework's threads or memory get into another's way; all stay alive,
so that rounds can be interleaved. One line in, one line of JSON out.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time

START = time.time()


def main() -> None:
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever else prints must not get between the answers
    from benchmarks.variants import VARIANTS

    function, arguments, images = VARIANTS[sys.argv[1]]
    one_round = function(**arguments)
    one_round()
    print(json.dumps({"ready_after": time.time() - START}), file=output, flush=True)
    for _ in sys.stdin:
        seconds = one_round()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"images_per_second": images / seconds, "peak_mib": peak}), file=output, flush=True)


if __name__ == "__main__":
    main()
