"""A real browser for the tests, driven by keys: what pages do for somebody without a mouse."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

ENTER, TAB, SHIFT = "\ue007", "\ue004", "\ue008"


@dataclass
class Browser:
    """A browser without a screen, over WebDriver's HTTP.

    Source: W3C, WebDriver; ``goog/cdp/execute`` is ChromeDriver's way to the DevTools.
    """

    http: httpx.Client
    session: str

    def call(self, path: str, **body: object) -> Any:
        value = self.http.post(f"{self.session}/{path}", json=body).json()["value"]
        if isinstance(value, dict) and "error" in value:
            raise AssertionError(value["message"])
        return value

    def open(self, url: str) -> None:
        self.call("url", url="about:blank")
        self.call("url", url=url)
        self.wait("document.readyState === 'complete' && document.activeElement !== document.body")

    def run(self, expression: str) -> Any:
        return self.call("execute/sync", script=f"return {expression.strip()}", args=[])

    def later(self, body: str) -> Any:
        told = ".then(done, error => done(`${error}`))"
        script = f"const done = arguments[0]; (async () => {{ {body} }})(){told}"
        return self.call("execute/async", script=script, args=[])

    def wait(self, expression: str) -> Any:
        for _ in range(400):
            value = self.run(expression)
            if value:
                return value
            time.sleep(0.02)
        raise AssertionError(f"{expression}\n{self.text('main')}")

    def text(self, selector: str) -> str:
        return str(self.run(f"document.querySelector('{selector}')?.innerText ?? ''"))

    def press(self, *keys: str) -> None:
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self.call("actions", actions=[{"type": "key", "id": "keys", "actions": actions}])

    def backwards(self, times: int) -> None:
        """Press Shift and Tab so often."""
        taps = [{"type": kind, "value": TAB} for _ in range(times) for kind in ("keyDown", "keyUp")]
        held = [{"type": "keyDown", "value": SHIFT}, *taps, {"type": "keyUp", "value": SHIFT}]
        self.call("actions", actions=[{"type": "key", "id": "keys", "actions": held}])

    def tab_to(self, matching: str) -> None:
        """Move the focus with Tab only, as somebody without a mouse does."""
        for _ in range(60):
            if self.run(f"document.activeElement.matches('{matching}')"):
                return
            self.press(TAB)
        raise AssertionError(f"Tab never reaches {matching}")

    def devtools(self, command: str, **params: object) -> Any:
        return self.call("goog/cdp/execute", cmd=command, params=params)

    def show(self, *, width: int, scheme: str = "light", motion: str = "no-preference") -> None:
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        self.devtools("Emulation.setDeviceMetricsOverride", **size)
        features = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": motion},
        ]
        self.devtools("Emulation.setEmulatedMedia", features=features)

    def complaints(self) -> list[str]:
        """What the browser complained about since it was asked last, such as refused scripts."""
        return [entry["message"] for entry in self.call("se/log", type="browser")]

    def ask(self, question: str) -> None:
        self.wait("document.activeElement.id === 'question'")
        self.press(*question, ENTER)
        self.wait("document.querySelector('#answer > section')")
        self.wait("document.getElementById('answer').ariaBusy === 'false'")


@contextmanager
def open_browser() -> Iterator[Browser]:
    driver, chromium = shutil.which("chromedriver"), shutil.which("chromium")
    if driver is None or chromium is None:
        pytest.skip("needs chromium and chromedriver on the PATH")
    # Chromium's sandbox does not start as root, as which containers often run their tests.
    rooted = ["--no-sandbox"] if os.geteuid() == 0 else []
    arguments = ["--headless=new", "--disable-dev-shm-usage", *rooted]
    wanted = {
        "goog:chromeOptions": {"args": arguments, "binary": chromium},
        "goog:loggingPrefs": {"browser": "ALL"},
    }
    with subprocess.Popen([driver, "--port=0"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        said = (re.search(r"successfully on port (\d+)", line) for line in process.stdout)
        port = next(match.group(1) for match in said if match)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
            body = {"capabilities": {"alwaysMatch": wanted}}
            session = http.post("/session", json=body).json()["value"]["sessionId"]
            yield Browser(http, f"/session/{session}")
            http.delete(f"/session/{session}")
        process.terminate()
