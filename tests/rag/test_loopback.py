import pytest

from rag.loopback import is_loopback


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),  # noqa: S104
        ("::", False),
        ("192.168.1.4", False),
        ("127.0.0.1.example.org", False),
        ("localhost.example.org", False),
        ("example.org", False),
        ("", False),
    ],
)
def test_only_this_machine(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
