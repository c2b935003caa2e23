"""Every error that frugal-rag raises on purpose.

    RagError                        exit  HTTP
    ├── UsageError                     2   400   the request or the command line is wrong
    │   ├── ValueRangeError            2   422   a value is outside its bounds
    │   └── QuestionTooLongError       2   413   the question is over the size limit
    ├── SettingsError                  2   500   rag.toml or RAG_* cannot be used
    ├── DeadlineError                  1   504   a question was not finished in its time
    ├── AccessError                    1   403   whoever asks may not do or see that
    ├── NotFoundError                  1   404   there is no such document, job or key
    ├── ConflictError                  1   409   what is there already stands against it
    ├── BudgetSpentError               1   429   the tenant's budget of the day is spent
    ├── QuotaSpentError                1   429   the tenant's quota of the minute, or so, is spent
    ├── OverloadedError                1   503   more is asked than can be answered in time
    ├── AuditError                     1   503   who did this cannot be written down
    ├── StorageFullError               1   507   there is no room for what was to be kept
    ├── AssetError                     1   500   a model or vocabulary is missing or altered
    ├── LoadError                      1   422   a document cannot be read
    │   ├── UnsupportedFormatError     1   415   no loader for this kind of file
    │   ├── ParseLimitError            1   413   parsing passed its time or memory limit
    │   └── EmptyDocumentError         1   422   a document without any text
    ├── IndexStateError                1   503   no generation, a damaged one, or a locked one
    └── BackendError                   1   503   an external service failed
        ├── BackendTimeoutError        1   504   it did not answer before the deadline
        └── BackendRejectedError       1   502   it refused the request

A message says what happened, the value, and what to do: ``remedy`` is never empty.
"""

from __future__ import annotations


class RagError(Exception):
    """Base of all errors raised on purpose; carries the value and the remedy."""

    exit_code = 1
    http_status = 500

    def __init__(self, what: str, value: object, remedy: str) -> None:
        self.what = what
        self.value = value
        self.remedy = remedy
        super().__init__(f"{what}: {value}. {remedy[:1].upper()}{remedy[1:]}.")

    def __reduce__(self) -> tuple[type[RagError], tuple[str, object, str]]:
        return type(self), (self.what, self.value, self.remedy)


class UsageError(RagError):
    """The request or the command line is wrong."""

    exit_code = 2
    http_status = 400


class ValueRangeError(UsageError, ValueError):
    """A value is outside its bounds."""

    http_status = 422


class QuestionTooLongError(UsageError):
    """The question is over the size limit."""

    http_status = 413


class SettingsError(RagError):
    """``rag.toml`` or the ``RAG_*`` environment cannot be used."""

    exit_code = 2


class DeadlineError(RagError):
    """A question was not finished in the time it was given."""

    http_status = 504


class BudgetSpentError(RagError):
    """What a tenant may spend in a day is spent, and questions are refused then."""

    http_status = 429


class AccessError(RagError):
    """Whoever asks may not do or see that."""

    http_status = 403


class NotFoundError(RagError):
    """There is no such thing, or it is another tenant's, which nobody is told."""

    http_status = 404


class ConflictError(RagError):
    """What is there already stands against it."""

    http_status = 409


class QuotaSpentError(RagError):
    """What a tenant may use in a time is used; ``retry_after`` [s] says when there is more."""

    http_status = 429
    retry_after: float | None = None


class OverloadedError(RagError):
    """More is asked than can be answered in time; ``retry_after`` [s] says when there is room."""

    http_status = 503
    retry_after: float | None = None


class AuditError(RagError):
    """What was done cannot be written into the audit log, and so is not done."""

    http_status = 503


class StorageFullError(RagError):
    """There is no room for what was to be kept; nothing of it was."""

    http_status = 507


class AssetError(RagError):
    """A model or vocabulary file is missing or is not the one that was pinned."""


class LoadError(RagError):
    """A document cannot be read."""

    http_status = 422


class UnsupportedFormatError(LoadError):
    """There is no loader for this kind of file."""

    http_status = 415


class ParseLimitError(LoadError):
    """Parsing passed its limit on time or memory."""

    http_status = 413


class EmptyDocumentError(LoadError):
    """A document in which no text was found."""


class IndexStateError(RagError):
    """There is no published generation, or it is damaged, or another process holds it."""

    http_status = 503


class BackendError(RagError):
    """An external service failed."""

    http_status = 503


class BackendTimeoutError(BackendError):
    """An external service did not answer before the deadline."""

    http_status = 504


class BackendRejectedError(BackendError):
    """An external service refused the request."""

    http_status = 502
