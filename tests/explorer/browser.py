"""A page in headless Chromium, driven over a pipe by the DevTools protocol, without other packages."""

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")


def executable() -> str | None:
    return next(filter(None, map(shutil.which, NAMES)), None)


class Page:
    """Attributes: errors, all errors and warnings of the console."""

    def __init__(self, write: int, read: int):
        self._write, self._read, self._buffer = write, read, b""
        self._count, self._session, self.errors = 0, None, []  # type: ignore[var-annotated]

    def send(self, method: str, timeout: float = 120, **params: Any) -> Any:
        self._count += 1
        message = {"id": self._count, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + timeout
        while True:
            found = self._receive(until, method)
            self._note(found)
            if found.get("id") == self._count:
                if "error" in found:
                    raise RuntimeError(f"{method}: {found['error']}")
                return found["result"]

    def _receive(self, until: float, what: str) -> Any:
        while b"\0" not in self._buffer:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self._read], [], [], left)[0]:
                raise TimeoutError(f"Chromium has not answered {what}")
            part = os.read(self._read, 1 << 16)
            if not part:
                raise RuntimeError("Chromium has ended")
            self._buffer += part
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def _note(self, message: Any) -> None:
        params = message.get("params", {})
        if message.get("method") == "Runtime.exceptionThrown":
            self.errors.append(str(params["exceptionDetails"])[:500])
        if message.get("method") == "Log.entryAdded":
            self.errors.append(params["entry"]["text"])
        if message.get("method") == "Runtime.consoleAPICalled":
            self.errors.append(str(params["args"])[:500])

    def open(self, url: str, width: int = 1280, height: int = 900, **device: Any) -> None:
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.send(f"{domain}.enable")
        scale = device.pop("scale", 1)
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=device.pop("mobile", False),
        )
        if device.pop("dark", False):
            features = [{"name": "prefers-color-scheme", "value": "dark"}]
            self.send("Emulation.setEmulatedMedia", features=features)
        if device.pop("touch", False):
            self.send("Emulation.setTouchEmulationEnabled", enabled=True)
        self.send("Page.navigate", url=url)

    def run(self, expression: str, timeout: float = 120) -> Any:
        """The value of an expression; of a promise, what it resolves to."""
        found = self.send(
            "Runtime.evaluate",
            timeout,
            expression=expression,
            awaitPromise=True,
            returnByValue=True,
        )
        if "exceptionDetails" in found:
            raise RuntimeError(str(found["exceptionDetails"])[:1000])
        return found["result"].get("value")

    def wait(self, expression: str, timeout: float = 60) -> None:
        until = time.monotonic() + timeout
        while not self.run(expression):
            if time.monotonic() > until:
                raise TimeoutError(expression)
            time.sleep(0.05)

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def screenshot(self, path: Path, full: bool = False) -> None:
        found = self.send("Page.captureScreenshot", captureBeyondViewport=full)
        path.write_bytes(base64.b64decode(found["data"]))


@contextlib.contextmanager
def chromium() -> Iterator[Page]:
    """A browser without a window and without a page yet."""
    name = executable()
    assert name is not None
    ours, theirs = os.pipe(), os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"]
        flags += [f"--user-data-dir={profile}", "--remote-debugging-pipe", "--hide-scrollbars"]
        flags += ["--disable-dev-shm-usage", "--disable-background-networking"]
        # The browser reads from descriptor 3 and writes to 4.
        script = f'exec 3<&{ours[0]} 4>&{theirs[1]}; exec "$@"'
        process = subprocess.Popen(
            ["bash", "-c", script, "bash", name, *flags],
            pass_fds=(ours[0], theirs[1]),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(ours[0])
        os.close(theirs[1])
        try:
            yield Page(ours[1], theirs[0])
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            os.close(ours[1])
            os.close(theirs[0])
