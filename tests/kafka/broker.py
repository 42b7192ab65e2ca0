"""A real Apache Kafka broker for the tests: one KRaft node, started, killed and restarted.

The jars come from Maven Central by ``mvn`` (``pom.xml`` beside this file names the version) and
are kept in ``.cache/``. Law of the file: no broker outlives the test run, however that ends. Each
runs in a process group of its own, is killed at interpreter exit, and has a watcher that kills it
when this process is gone without having said so.
"""

from __future__ import annotations

import atexit
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
JAVA_VERSION_MIN = 17  # Kafka 4 brokers refuse older ones
FETCH_TIMEOUT_S = 300
START_TIMEOUT_S = 180
STOP_TIMEOUT_S = 60
# Below the range from which kernels give ports to outgoing connections, so that none of those
# takes the broker's port while it is down between kill and restart.
PORT_RANGE = (18_000, 28_000)
CLUSTER_ID = "4L6g3nShT-eMCtK--X86sw"

# 256 MiB is enough for a few hundred thousand small records; C1 alone halves the start.
JVM_OPTIONS = (
    "-Xms64m",
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Djava.awt.headless=true",
)

# Small internal topics and no waiting for further group members; the cleaner's default buffer
# (128 MiB) does not fit into the heap above.
BROKER_PROPERTIES = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SECURE:SASL_SSL",
    "inter.broker.listener.name": "PLAINTEXT",
    "auto.create.topics.enable": "false",
    "offsets.topic.num.partitions": "3",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "3",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    # A killed broker may register again only when its former self has timed out (default 9 s).
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    "log.cleaner.dedupe.buffer.size": "2097152",
    "num.network.threads": "2",
    "num.io.threads": "2",
}


class KafkaUnavailableError(Exception):
    """Apache Kafka cannot be had on this machine; the message says why."""


class KafkaBroker:
    """One broker with its own data directory and ports, all on 127.0.0.1.

    Args:
        directory: Empty directory for its configuration, data and log.
        properties: Broker properties that add to or replace ``BROKER_PROPERTIES``.
        secure: Properties of a second listener that takes SASL_SSL only: certificates and
            mechanisms, without their prefix ``listener.name.secure.``. None makes no such listener.
        scram_users: Password by user name, for both SCRAM mechanisms.

    Attributes:
        bootstrap: ``host:port`` for clients; stays the same over restarts.
        secure_bootstrap: The same of the second listener.
        start_s: Seconds that the last start took, until a client saw the broker.
    """

    def __init__(
        self,
        directory: Path,
        properties: Mapping[str, str] | None = None,
        secure: Mapping[str, str] | None = None,
        scram_users: Mapping[str, str] | None = None,
    ) -> None:
        self._directory = directory
        self._log_path = directory / "broker.log"
        self._config_path = directory / "server.properties"
        self._properties = dict(properties or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: subprocess.Popen[bytes] | None = None
        self._secure = secure
        self._scram_users = dict(scram_users or {})
        port, secure_port, self._controller_port = free_ports(3)
        self.bootstrap = f"127.0.0.1:{port}"
        self.secure_bootstrap = f"127.0.0.1:{secure_port}"
        self.start_s = 0.0

    def start(self) -> None:
        """Start, the first time on freshly formatted storage; returns when clients can use it.

        Raises:
            KafkaUnavailableError: No JDK or no jars.
            RuntimeError: The broker ended or was not ready in time; holds the end of its log.
        """
        if self._process is not None:
            raise RuntimeError("the broker is already running")
        began = time.monotonic()
        command = _java_command(self._directory)
        if not self._config_path.exists():
            self._format(command)
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "kafka.Kafka", str(self._config_path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        atexit.register(self.kill)
        self._watcher = _watch(self._process.pid)
        try:
            self._wait_until_ready(began + START_TIMEOUT_S)
        except BaseException:
            self.kill()
            raise
        self.start_s = time.monotonic() - began

    def stop(self) -> None:
        """Shut down in order (SIGTERM); nothing happens if it does not run."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once (SIGKILL), as a crash would; nothing happens if it does not run."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Start again on the same ports and data, after ``stop`` or ``kill`` or while running."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Hang (SIGSTOP) until ``resume``."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Go on after ``pause``."""
        self._signal(signal.SIGCONT)

    @property
    def pid(self) -> int | None:
        """Process id of the running broker, or None."""
        return self._process.pid if self._process else None

    def log_tail(self, lines: int = 40) -> str:
        """The last lines of all that the broker has printed so far."""
        if not self._log_path.exists():
            return "(the broker has no log yet)"
        with self._log_path.open(errors="replace") as log:
            return "".join(deque(log, maxlen=lines))

    def _format(self, command: list[str]) -> None:
        listeners = f"PLAINTEXT://{self.bootstrap}"
        secure = {}
        if self._secure is not None:
            listeners += f",SECURE://{self.secure_bootstrap}"
            secure = {f"listener.name.secure.{name}": v for name, v in self._secure.items()}
        controller = f"127.0.0.1:{self._controller_port}"
        properties = {
            "controller.quorum.voters": f"1@{controller}",
            "listeners": f"{listeners},CONTROLLER://{controller}",
            "advertised.listeners": listeners,
            "log.dirs": str(self._directory / "data"),
            **BROKER_PROPERTIES,
            **secure,
            **self._properties,
        }
        config_path = self._config_path.with_suffix(".new")
        config_path.write_text("".join(f"{name}={properties[name]}\n" for name in properties))
        format_command = [*command, "kafka.tools.StorageTool", "format", "-t", CLUSTER_ID]
        for name, password in self._scram_users.items():
            for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
                user = f"{mechanism}=[name={name},password={password}]"
                format_command += ["--add-scram", user]
        formatted = subprocess.run(
            [*format_command, "-c", str(config_path)],
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT_S,
        )
        if formatted.returncode:
            raise RuntimeError(f"format failed:\n{formatted.stdout}{formatted.stderr}")
        config_path.rename(self._config_path)

    def _wait_until_ready(self, deadline: float) -> None:
        # Quiet: connections that are refused before the broker listens are no news.
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                raise RuntimeError(f"the broker ended while starting:\n{self.log_tail()}")
            try:
                if admin.list_topics(timeout=1).brokers:
                    return
            except KafkaException:
                time.sleep(0.05)
        raise RuntimeError(f"not ready in {START_TIMEOUT_S} s:\n{self.log_tail()}")

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None:
            raise RuntimeError("the broker is not running")
        os.killpg(self._process.pid, number)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        atexit.unregister(self.kill)
        if process.poll() is None:
            os.killpg(process.pid, number)
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if self._watcher is not None:
            # Before its standard input closes: the process id may by then be another's.
            self._watcher.kill()
            self._watcher.communicate()
            self._watcher = None


def kafka_version() -> str:
    """The version of Apache Kafka that ``pom.xml`` names."""
    pom = ElementTree.parse(HERE / "pom.xml")  # noqa: S314 (our own file)
    found = pom.find("{*}properties/{*}kafka.version")
    if found is None or not found.text:
        raise ValueError("tests/kafka/pom.xml names no kafka.version")
    return found.text


def fetch_kafka() -> Path:
    """The folder with the broker's jars, fetched by Maven if it is not in ``.cache`` yet.

    Raises:
        KafkaUnavailableError: Maven is missing or could not fetch them.
    """
    libraries = ROOT / ".cache" / f"kafka-{kafka_version()}" / "libs"
    if libraries.is_dir():
        return libraries
    maven = shutil.which("mvn")
    if maven is None:
        raise KafkaUnavailableError("'mvn' (Apache Maven) is not installed")
    # Fetched aside and renamed when complete: an interrupted fetch leaves no half set behind.
    partial = libraries.with_name(f"libs.{os.getpid()}")
    command = [maven, "-B", "-q", "-ntp", "-f", str(HERE / "pom.xml")]
    command += ["dependency:copy-dependencies", "-DincludeScope=runtime"]
    try:
        fetched = subprocess.run(
            [*command, f"-DoutputDirectory={partial}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=FETCH_TIMEOUT_S,
        )
        if fetched.returncode:
            last_lines = "\n".join(fetched.stdout.strip().splitlines()[-5:])
            raise KafkaUnavailableError(f"Maven could not fetch Apache Kafka: {last_lines}")
        if not libraries.is_dir():
            partial.rename(libraries)
    except subprocess.TimeoutExpired:
        raise KafkaUnavailableError(f"Maven took more than {FETCH_TIMEOUT_S} s") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return libraries


def find_java() -> str:
    """Path of a ``java`` that can run the broker: JAVA_HOME's, else the one in PATH.

    Raises:
        KafkaUnavailableError: There is none, or it is too old.
    """
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home, "bin", "java")) if home else shutil.which("java")
    if not java or not Path(java).exists():
        raise KafkaUnavailableError(f"no 'java' (JDK {JAVA_VERSION_MIN} or newer) is installed")
    printed = subprocess.run([java, "-version"], capture_output=True, text=True).stderr
    version = _java_major_version(printed)
    if version < JAVA_VERSION_MIN:
        raise KafkaUnavailableError(f"'{java}' is Java {version}; {JAVA_VERSION_MIN} is needed")
    return java


def _java_major_version(printed: str) -> int:
    """The major version in what ``java -version`` printed; 0 if it cannot be told."""
    for line in printed.splitlines():
        if ' version "' in line:
            numbers = re.findall(r"\d+", line.split('"')[1])
            return int(numbers[1] if numbers[0] == "1" else numbers[0])
    return 0


def _java_command(directory: Path) -> list[str]:
    return [
        find_java(),
        *JVM_OPTIONS,
        f"-Dkafka.logs.dir={directory}",
        f"-Dlog4j2.configurationFile={HERE / 'log4j2.properties'}",
        "-cp",
        f"{fetch_kafka()}/*",
    ]


def _watch(group: int) -> subprocess.Popen[bytes]:
    """A process that kills the process group as soon as this process is gone."""
    return subprocess.Popen(
        ["sh", "-c", 'cat > /dev/null; kill -KILL "-$1"', "watch", str(group)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def free_ports(count: int) -> list[int]:
    """Different ports of 127.0.0.1 that nothing listens on now."""
    ports: list[int] = []
    while len(ports) < count:
        port = random.randrange(*PORT_RANGE)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in ports:
            ports.append(port)
    return ports
