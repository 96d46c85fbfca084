"""Command line: ``python -m pymc_mlm demo``, ``warmup``, ``report`` and ``plan``."""

from __future__ import annotations

import argparse
from pathlib import Path

from pymc_mlm.demo import run_demo
from pymc_mlm.errors import MlmError
from pymc_mlm.planner import serve
from pymc_mlm.reporting.document import read_report
from pymc_mlm.warmup import warmup


def main(arguments: list[str] | None = None) -> None:
    """Run a command of the package."""
    parser = argparse.ArgumentParser(prog="python -m pymc_mlm", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser("demo", help="fit the flagship model to the built-in table")
    demo.add_argument("--output", type=Path, default=Path("demo_output"), help="folder to write")
    demo.add_argument("--seed", type=int, default=1, help="seed of the sampler")
    warm = commands.add_parser("warmup", help="compile the common models into the disk cache")
    warm.add_argument("--only", default="", help="only models whose label contains this text")
    page = commands.add_parser("report", help="write the HTML of a report from its JSON")
    page.add_argument("json", type=Path, help="file that model.report() wrote")
    page.add_argument("-o", "--output", type=Path, help="HTML file; beside the JSON by default")
    plan = commands.add_parser("plan", help="show a page to plan trials, on this computer alone")
    plan.add_argument("--port", type=int, default=8765, help="of 127.0.0.1")
    plan.add_argument("--no-browser", action="store_true", help="do not open it in the browser")
    chosen = parser.parse_args(arguments)
    if chosen.command == "demo":
        run_demo(chosen.output, chosen.seed)
    elif chosen.command == "report":
        try:
            report = read_report(chosen.json)
            print(report.write(chosen.output or chosen.json.with_suffix(".html")))
        except MlmError as error:
            parser.error(str(error))
    elif chosen.command == "plan":
        try:
            serve(chosen.port, not chosen.no_browser)
        except MlmError as error:
            parser.error(str(error))
    else:
        print(f"{warmup(chosen.only)} models are ready.")


if __name__ == "__main__":
    main()
