"""Whether a call ends at once, on a machine that does other things as well."""

import time


def timed(call, *args, enough=1.0, tries=4):
    """Return what a call returns and its processor time, that of its quickest try.

    A collection of garbage takes seconds in a process that has run thousands of tests. It falls
    on one try; what hangs is slow in all of them. No further try follows one below `enough`.
    """
    best = float("inf")
    for _ in range(tries):
        start = time.process_time()
        value = call(*args)
        best = min(best, time.process_time() - start)
        if best < enough:
            break
    return value, best
