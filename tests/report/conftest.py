"""Golden texts: `--update-report` writes them anew; read the diff before you commit it."""

import difflib
from collections.abc import Callable
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compares a text with the file of that name in golden/."""
    update = request.config.getoption("--update-report")

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if update:
            path.write_text(text, "utf-8", newline="")
        wanted = path.read_bytes().decode() if path.exists() else ""
        diff = difflib.unified_diff(wanted.splitlines(), text.splitlines(), f"golden/{name}", "now", lineterm="")
        assert wanted == text, "\n".join(diff)

    return compare
