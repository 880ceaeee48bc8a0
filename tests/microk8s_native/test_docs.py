"""The page of the documentation has the table that the data makes."""

import subprocess
import sys
from pathlib import Path

from bootstrap.distros.microk8s.addon_table import CORE

ROOT = Path(__file__).parents[2]


def test_the_table_of_add_ons_is_current():
    tool = ROOT / "tools/microk8s-addons"
    done = subprocess.run([sys.executable, str(tool), "--check"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "docs/microk8s.md is current\n")


def test_the_table_has_a_row_for_each_entry():
    rows = [line for line in (ROOT / "docs/microk8s.md").read_text().split("\n") if line.startswith("| `")]
    assert len([row for row in rows if not row.startswith("| `/")]) == len(CORE)
