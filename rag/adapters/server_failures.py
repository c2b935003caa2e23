"""What becomes of qdrant-client's failures: errors of ours, and whether to try again."""

from __future__ import annotations

from rag.adapters.server_calls import Deadline, Failure
from rag.errors import BackendError, BackendRejectedError, BackendTimeoutError

_CLOCK_SLACK_SECONDS = 0.01
_SHOWN = 200  # characters of what cannot be read


def vendor_errors() -> tuple[type[Exception], ...]:
    """Return what qdrant-client raises when a call fails."""
    from qdrant_client.common.client_exceptions import QdrantException
    from qdrant_client.http.exceptions import ApiException

    # An answer that is no JSON is a ValueError here, one without a result an AssertionError.
    return ApiException, QdrantException, ValueError, AssertionError


def classify(exc: Exception, deadline: Deadline, secret: str = "") -> Failure:
    """Return what to make of an exception of qdrant-client, raised within a deadline.

    The ``secret`` that was sent is not shown, even if the server says it back.
    """
    from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
    from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

    if isinstance(exc, ResourceExhaustedResponse):
        busy = BackendError("Qdrant is busy", f"retry in {exc.retry_after_s} s", "ask less often")
        seconds = float(exc.retry_after_s)
        return Failure(busy, retryable=True, wait_seconds=seconds, tellable=not secret)
    if isinstance(exc, UnexpectedResponse):
        # Not only in the message: a traceback would show what it was raised from.
        exc.content = _without(secret, exc.content)
        reason = (exc.reason_phrase or "").encode()
        exc.reason_phrase = _without(secret, reason).decode()
        return _classify_status(exc.status_code or 0, str(exc))
    if isinstance(exc, ResponseHandlingException) and not isinstance(exc.source, ValueError):
        # Every step may take what is left of the deadline: whatever used it up timed out.
        if deadline.remaining() < _CLOCK_SLACK_SECONDS:
            return Failure(_timeout(type(exc.source).__name__), retryable=False)
        lost = BackendError(
            "no connection to Qdrant", exc.source, "check server_url and the server"
        )
        return Failure(lost, retryable=True)
    what = repr(exc)
    told = not (secret and secret in what)
    value = what[:_SHOWN] if told else type(exc).__name__
    strange = BackendError("Qdrant's answer cannot be read", value, "check server_url")
    return Failure(strange, retryable=False, tellable=told)


def _without(secret: str, content: bytes) -> bytes:
    return content.replace(secret.encode(), b"(not shown)") if secret else content


def _classify_status(status: int, message: str) -> Failure:
    if status in (408, 504):
        return Failure(_timeout(message), retryable=True)
    if status == 429:
        busy = BackendError("Qdrant is busy", message, "ask less often, or raise its rate limit")
        return Failure(busy, retryable=True)
    if 400 <= status < 500:
        refused = BackendRejectedError("Qdrant refused the request", message, "check the settings")
        return Failure(refused, retryable=False)
    return Failure(BackendError("Qdrant failed", message, "look at its log"), retryable=True)


def _timeout(detail: str) -> BackendTimeoutError:
    remedy = "raise server_timeout_seconds or relieve the server"
    return BackendTimeoutError("Qdrant did not answer in time", detail, remedy)
