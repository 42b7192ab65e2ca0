"""A real Prometheus that scrapes a real worker; a context manager, and queries on it."""

from __future__ import annotations

import contextlib
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson
import yaml

from tests.integration.worker import free_port
from tests.observability.tools import prometheus

STEP_S = 1
PATIENCE_S = 120


class Prometheus:
    """A Prometheus server with rules, scraping one target every second."""

    def __init__(self, folder: Path, target: str, rules: Iterable[Path]) -> None:
        self._folder = folder
        self._log = folder / "prometheus.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._url = f"http://127.0.0.1:{free_port()}"
        config = {
            "global": {"scrape_interval": f"{STEP_S}s", "evaluation_interval": f"{STEP_S}s"},
            "rule_files": [str(path) for path in rules],
            "scrape_configs": [
                {
                    "job_name": "streamproc",
                    "static_configs": [{"targets": [target], "labels": {"namespace": "soc"}}],
                }
            ],
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))

    def __enter__(self) -> Prometheus:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    prometheus(),
                    f"--config.file={self._folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={self._folder / 'data'}",
                    f"--web.listen-address={self._url.removeprefix('http://')}",
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)

    def query(self, expr: str) -> list[dict[str, Any]]:
        """The series that an instant query returns now.

        Raises:
            ValueError: Prometheus does not understand it; its message.
        """
        form = urllib.parse.urlencode({"query": expr}).encode()
        try:
            # Our own server, on this machine.
            with urllib.request.urlopen(  # noqa: S310
                f"{self._url}/api/v1/query", form, timeout=30
            ) as reply:
                answer = orjson.loads(reply.read())
        except urllib.error.HTTPError as error:
            raise ValueError(f"{error.read().decode()}: {expr}") from error
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def without_series(self, exprs: Iterable[str]) -> set[str]:
        """Those queries that return nothing, asked again until all have returned something."""
        missing = set(exprs)
        deadline = time.monotonic() + PATIENCE_S
        while missing and time.monotonic() < deadline:
            with contextlib.suppress(ConnectionError, urllib.error.URLError):  # not up yet
                missing -= {expr for expr in missing if self.query(expr)}
            time.sleep(STEP_S)
        return missing

    def tail(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-20:])
