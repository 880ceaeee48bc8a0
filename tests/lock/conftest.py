import pytest
import stamina


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    """No proxy of this machine, and no waiting between attempts."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with stamina.set_testing(True, attempts=3):
        yield
