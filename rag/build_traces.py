"""The composition root of traces; nothing of OpenTelemetry is loaded before the first is sent."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from rag import __version__
from rag.answering import Answering
from rag.errors import SettingsError
from rag.generators import GeneratorSpec
from rag.settings import Settings
from rag.spans import Source
from rag.trace_export import Sender, TracedAnswering, TraceExport

_LIBRARY = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
# Source: OTLP 1.9, "OTLP/HTTP Request": the path of traces.
_PATH = "/v1/traces"
_PROVIDERS = {"openai": "openai", "embedded": "frugal_rag"}
_BEDROCK = "aws.bedrock"


def build_traces(settings: Settings) -> TraceExport | None:
    """Return what sends traces, None where no collector is configured.

    Raises:
        SettingsError: The address is none, or the library is not installed.
    """
    if settings.otlp_url is None:
        return None
    url = _address(settings.otlp_url)
    if not _installed():
        raise SettingsError(
            "traces need OpenTelemetry", "not installed", "install frugal-rag[otel]"
        )
    source = Source(settings.collection, dict(map(_provided, _specs(settings))))

    def connect() -> Sender:
        from rag.adapters.otel import OtlpSender

        return OtlpSender(url, source, __version__)

    return TraceExport(connect)


def with_traces(answering: Answering, settings: Settings) -> Answering:
    """Return what answers the same, and notes its results in the trace if they are sent."""
    return answering if settings.otlp_url is None else TracedAnswering(answering)


def _address(url: str) -> str:
    """Return the whole address that traces are sent to.

    Raises:
        SettingsError: It is none, or holds what is secret or no part of an address.
    """
    try:
        parts = urlsplit(url)
        known = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        known = False
    if not known or "@" in parts.netloc or parts.query or parts.fragment:
        remedy = (
            "use https://host:4318, without user or query; keys go to OTEL_EXPORTER_OTLP_HEADERS"
        )
        raise SettingsError("otlp_url cannot be used", "(not shown)", remedy)
    path = parts.path.rstrip("/") or _PATH
    return parts._replace(path=path).geturl()


def _installed() -> bool:
    try:
        return find_spec(_LIBRARY) is not None
    except ModuleNotFoundError:
        return False


def _specs(settings: Settings) -> list[GeneratorSpec]:
    return [generator.spec() for generator in settings.generators]


def _provided(spec: GeneratorSpec) -> tuple[str, str]:
    """Return a model's name, as receipts have it, and who provides it."""
    if spec.connector is not None:
        package = spec.connector.partition(":")[0].lower()
        return spec.model, _BEDROCK if "bedrock" in package else package.rpartition(".")[2]
    path = Path(spec.model)
    return path.stem if path.suffix == ".gguf" else spec.model, _PROVIDERS[spec.kind]
