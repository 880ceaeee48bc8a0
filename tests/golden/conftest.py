"""Golden folders: `pytest tests/golden --update-golden` writes them anew; read the diff before you commit it."""

import pytest


@pytest.fixture
def updates_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden"))
