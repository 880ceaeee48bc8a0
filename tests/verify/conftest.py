import pytest

from .fake_api import Pair, issue_client, make_authority


@pytest.fixture(scope="session")
def authority() -> Pair:
    return make_authority()


@pytest.fixture(scope="session")
def client(authority: Pair) -> Pair:
    return issue_client(authority)
