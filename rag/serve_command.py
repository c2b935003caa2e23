"""What ``rag serve`` does: the service over the collection's published documents."""

from __future__ import annotations

import contextvars
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rag.settings import Settings


def serve_questions(settings: Settings) -> None:
    """Serve until told to stop; logs go to stderr.

    Raises:
        SettingsError: Others could ask without a key.
        RagError: It cannot listen there, or a part cannot be built.
        KeyboardInterrupt: It was stopped by SIGINT.
    """
    from rag import logs
    from rag.build_service import build_served
    from rag.keyring import Keyring, keys_path
    from rag.service.app import create_app
    from rag.service.door import check_binding
    from rag.service.server import listen, serve

    logs.configure(sys.stderr)
    keyring = Keyring(keys_path(settings))
    check_binding(settings, keyring)
    bound = listen(settings.host, settings.port)
    with ExitStack() as kept:
        app = create_app(settings, build_served(settings, keyring, kept))

        def announce(url: str) -> None:
            sys.stderr.write(f"listening on {url}\n")

        # In an empty context: nobody is asking but who comes through the door.
        contextvars.Context().run(serve, app, bound, settings, announce, app.state.refused)
