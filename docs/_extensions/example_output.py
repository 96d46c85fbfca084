"""The directive `example`: what a script of `examples/` prints, run when the pages are built.

A block names the script and, for one that prints lines `== section`, the section. Its body is what
the script printed when the page was written, for readers of the source; a build runs the script and
shows what it prints now, and `python docs/_extensions/example_output.py` writes that into the
pages. Output is kept in `docs/generated/examples` until the script or the package changes. With the
option `data`, the name of a variable of the environment that holds a file which is the argument of
the script, the body stays where the variable is not set.
"""

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive, directives

DOCS = Path(__file__).parents[1]
PROJECT = DOCS.parent
KEPT = DOCS / "generated" / "examples"


def fingerprint(script, data):
    """Hash of the script, the package and the name of the data."""
    digest = hashlib.sha256(str(data).encode())
    for path in [script, *sorted((PROJECT / "pymc_mlm").rglob("*.py"))]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def printed(script, data=None):
    """What the script prints, from what is kept or by running it."""
    kept, mark = KEPT / f"{script.stem}.txt", KEPT / f"{script.stem}.sha256"
    key = fingerprint(script, data)
    if kept.exists() and mark.exists() and mark.read_text() == key:
        return kept.read_text()
    KEPT.mkdir(parents=True, exist_ok=True)
    paths = [str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"MPLBACKEND": "Agg", "PYTHONPATH": os.pathsep.join(paths)}
    found = subprocess.run(
        [sys.executable, str(script), *([data] if data else [])],
        cwd=KEPT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if found.returncode:
        raise RuntimeError(f"examples/{script.name} failed:\n{found.stderr[-2000:]}")
    kept.write_text(found.stdout)
    mark.write_text(key)
    return found.stdout


def sections(text):
    """Parts of an output by the lines `== name` that begin them."""
    found, name = {"": []}, ""
    for line in text.splitlines():
        if line.startswith("== "):
            name = line[3:].strip()
            found[name] = []
        else:
            found[name].append(line.rstrip())
    return {name: "\n".join(lines).strip("\n") for name, lines in found.items()}


class Example(Directive):
    """The block; see the module."""

    required_arguments = 1
    optional_arguments = 1
    final_argument_whitespace = True
    option_spec = {"data": directives.unchanged}  # noqa: RUF012
    has_content = True

    def run(self):
        text = "\n".join(self.content)
        name = self.options.get("data")
        if name is None or name in os.environ:
            try:
                parts = sections(printed(self.script(), os.environ.get(name) if name else None))
                text = parts[self.section()]
            except (RuntimeError, KeyError) as error:
                return [self.state_machine.reporter.error(str(error), line=self.lineno)]
        block = nodes.literal_block(text, text, language="text")
        return [block]

    def script(self):
        return PROJECT / "examples" / self.arguments[0].split()[0]

    def section(self):
        return " ".join(" ".join(self.arguments).split()[1:])


BLOCK = re.compile(
    r"```\{example\} (?P<script>\S+) ?(?P<section>[^\n]*)\n"
    r"(?P<option>:data: (?P<data>\w+)\n)?(?P<body>.*?)\n?```",
    re.DOTALL,
)


def rewritten(block):
    """A block of a page with what the script prints now, as `re.sub` asks for it."""
    data = block["data"]
    if data and data not in os.environ:
        return block[0]
    text = printed(PROJECT / "examples" / block["script"], os.environ.get(data) if data else None)
    head = f"```{{example}} {block['script']} {block['section']}".rstrip()
    return f"{head}\n{block['option'] or ''}{sections(text)[block['section']]}\n```"


def setup(app):
    app.add_directive("example", Example)
    return {"parallel_read_safe": True}


if __name__ == "__main__":
    for page in sorted(DOCS.glob("*/*.md")):
        before = page.read_text()
        if (after := BLOCK.sub(rewritten, before)) != before:
            page.write_text(after)
