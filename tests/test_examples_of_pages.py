"""Blocks `{example}` of the pages name scripts and sections that are there."""

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
BLOCK = re.compile(r"```\{example\} (\S+) ?([^\n]*)\n(.*?)\n?```", re.DOTALL)
BLOCKS = [
    (page.name, *block)
    for page in sorted((PROJECT / "docs").glob("*/*.md"))
    for block in BLOCK.findall(page.read_text())
]


@pytest.mark.parametrize(("page", "script", "section", "body"), BLOCKS)
def test_a_block_has_output_of_a_section_of_its_script(page, script, section, body):
    text = (PROJECT / "examples" / script).read_text()
    assert f'"== {section}"' in text
    assert len(body.splitlines()) >= 1 and "@" not in body


def test_the_worked_examples_are_blocks():
    assert {page for page, *_ in BLOCKS} >= {
        "coalitions.md", "contests.md", "value_added.md", "wide_table.md",
    }  # fmt: skip
