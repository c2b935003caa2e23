"""A published collection, copied for each test that damages it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

DOCUMENTS = {
    "pump.md": "# Pump\n\nThe pump is covered for 24 months from delivery. It weighs 12 kg.\n",
    "tax.md": "# Tax\n\nInvoices are paid within 30 days of receipt.\n",
}


@pytest.fixture(scope="session")
def published(
    commands: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Any]:
    """Makes commands on a data directory of one's own with two documents published in it."""
    template = commands(tmp_path_factory.mktemp("template"))
    template.publish(DOCUMENTS)

    def copied(folder: Path, **settings: object) -> Any:
        shutil.copytree(template.folder, folder, dirs_exist_ok=True)
        return commands(folder, **settings)

    return copied
