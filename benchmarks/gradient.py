"""Microseconds and memory of one log density with its gradient, against two rulers.

For each of the models in ``gradients/``, at several numbers of rows: this package's compiled
function, as the sampler calls it; the plain PyTensor graph of the same model, compiled by
PyTensor; and a bare numba loop that does the same arithmetic (the floor). Each size runs in a
process of its own, so that peak memory is its own.

Usage: ``python benchmarks/gradient.py [--models membership trial nested] [--rows 2000 ...]``
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import os
import resource
import subprocess
import sys
import time

MODELS = ("membership", "trial", "nested")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=MODELS, choices=MODELS)
    parser.add_argument("--rows", nargs="+", type=int, help="instead of each model's own sizes")
    parser.add_argument("--child", nargs=3)
    chosen = parser.parse_args()
    if chosen.child:
        model, variant, rows = chosen.child
        print(json.dumps(measure(model, variant, int(rows))))
        return
    heads = ("model", "rows", "variant", "us/gradient", "of floor", "MB", "log density")
    print("{:>10}  {:>9}  {:>9}  {:>12}  {:>8}  {:>7}  {}".format(*heads))
    for model in chosen.models:
        for rows in chosen.rows or case(model).SIZES:
            results = {v: child(model, v, rows) for v in ("floor", "ours", "plain")}
            for variant, r in results.items():
                ratio = r["us"] / results["floor"]["us"]
                print(
                    f"{model:>10}  {rows:>9}  {variant:>9}  {r['us']:12.1f}  {ratio:8.2f}  "
                    f"{r['mb']:7.0f}  {r['logp']:.6f}",
                    flush=True,
                )


def case(model: str):
    return importlib.import_module(f"gradients.{model}")


def child(model: str, variant: str, rows: int) -> dict:
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, __file__, "--child", model, variant, str(rows)]
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure(model: str, variant: str, rows: int) -> dict:
    d = case(model).data(rows)
    evaluate = getattr(case(model), variant)(d)
    logp = evaluate()
    repeats = max(3, min(2_000, int(1e7 / rows)))
    best = math.inf
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(repeats):
            evaluate()
        best = min(best, (time.perf_counter() - start) / repeats)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"us": best * 1e6, "mb": peak, "logp": float(logp)}


if __name__ == "__main__":
    main()
