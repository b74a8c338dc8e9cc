"""A real Mosquitto with the configuration we ship: who gets in, and who may do what."""

from __future__ import annotations

import getpass
import os
import queue
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from tests.support.mosquitto import free_port

SHIPPED = Path(__file__).parents[2] / "deploy" / "mosquitto"
ACCOUNTS = ("mimo-voice", "zigbee2mqtt", "kitchen-lamp", "garage-door", "admin")
PATIENCE = 30.0


@dataclass(frozen=True)
class Broker:
    plain: int
    encrypted: int
    authority: Path


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    folder = tmp_path_factory.mktemp("mosquitto")
    certificates = folder / "certs"
    subprocess.run(
        [SHIPPED / "certificates", certificates, "localhost", "127.0.0.1"],
        check=True,
        capture_output=True,
    )
    passwords = folder / "passwd"
    passwords.touch(mode=0o600)
    for name in ACCOUNTS:
        subprocess.run(
            ["mosquitto_passwd", "-b", passwords, name, f"secret of {name}"],
            check=True,
            capture_output=True,
        )
    ports = Broker(free_port(), free_port(), certificates / "ca.crt")
    settings = (SHIPPED / "mimo-voice.conf").read_text()
    for old, new in (
        ("/etc/mosquitto/passwd", str(passwords)),
        ("/etc/mosquitto/mimo-voice.acl", str(SHIPPED / "mimo-voice.acl")),
        ("/etc/mosquitto/certs", str(certificates)),
        ("listener 8883", f"listener {ports.encrypted} 127.0.0.1"),
        ("listener 1883", f"listener {ports.plain}"),
    ):
        settings, changed = re.subn(rf"(?m)^((?!#).*){old}", rf"\g<1>{new}", settings)
        assert changed, old
    # Started by root it would become user mosquitto, who can't read this folder.
    config = folder / "mosquitto.conf"
    config.write_text(settings + f"\nuser {getpass.getuser()}\n")
    program = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program is not None, "mosquitto is missing: apt-get install mosquitto"
    log = folder / "log"
    with log.open("w") as sink, subprocess.Popen([program, "-c", config], stderr=sink) as process:
        try:
            deadline = monotonic() + PATIENCE
            while not all(map(listening, (ports.plain, ports.encrypted))):
                assert process.poll() is None, log.read_text()
                assert monotonic() < deadline, log.read_text()
                sleep(0.02)
            yield ports
        finally:
            process.terminate()


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Client:
    """A client of MQTT 5, which is told of refusals."""

    def __init__(self, port: int, name: str | None, password: str | None = None) -> None:
        self.received: queue.Queue[str] = queue.Queue()
        self._answers: queue.Queue[ReasonCode] = queue.Queue()
        self.mqtt = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        if name is not None:
            self.mqtt.username_pw_set(name, password or f"secret of {name}")
        self.mqtt.on_connect = lambda _c, _u, _f, code, _p: self._answers.put(code)
        self.mqtt.on_publish = lambda _c, _u, _m, code, _p: self._answers.put(code)
        self.mqtt.on_subscribe = lambda _c, _u, _m, codes, _p: self._answers.put(codes[0])
        self.mqtt.on_message = lambda _c, _u, message: self.received.put(message.topic)
        self.port = port

    def connect(self) -> str:
        """Connects; what the broker said."""
        self.mqtt.connect("localhost", self.port)
        self.mqtt.loop_start()
        return self._answer()

    def publish(self, topic: str) -> str:
        self.mqtt.publish(topic, "x", qos=1)
        return self._answer()

    def subscribe(self, pattern: str) -> str:
        self.mqtt.subscribe(pattern, qos=1)
        return self._answer()

    def _answer(self) -> str:
        return str(self._answers.get(timeout=PATIENCE))

    def close(self) -> None:
        self.mqtt.disconnect()
        self.mqtt.loop_stop()


Connect = Callable[[str], Client]


@pytest.fixture
def connect(broker: Broker) -> Iterator[Connect]:
    clients: list[Client] = []

    def make(name: str) -> Client:
        client = Client(broker.plain, name)
        clients.append(client)
        assert client.connect() == "Success"
        return client

    yield make
    for client in clients:
        client.close()


@pytest.mark.parametrize(
    ("name", "password", "answer"),
    [
        ("mimo-voice", "secret of mimo-voice", "Success"),
        (None, None, "Not authorized"),
        ("mimo-voice", "guessed", "Not authorized"),
        ("stranger", "secret of mimo-voice", "Not authorized"),
    ],
    ids=["account", "anonymous", "wrong password", "no such account"],
)
@pytest.mark.parametrize("encrypted", [False, True], ids=["loopback", "TLS"])
def test_accounts_only(
    broker: Broker, name: str | None, password: str | None, answer: str, encrypted: bool
) -> None:
    client = Client(broker.encrypted if encrypted else broker.plain, name, password)
    if encrypted:
        client.mqtt.tls_set(ca_certs=str(broker.authority))
    assert client.connect() == answer
    client.close()


def test_the_broker_is_known_by_the_home_authority_alone(broker: Broker) -> None:
    client = Client(broker.encrypted, "mimo-voice")
    client.mqtt.tls_set()  # the world's authorities, which did not sign it
    with pytest.raises(ssl.SSLCertVerificationError):
        client.connect()


COMMANDS = (
    "zigbee2mqtt/Desk lamp/set",
    "zigbee2mqtt/upstairs/desk lamp/set",
    "zigbee2mqtt/desk/get",
    "cmnd/kitchen-lamp/POWER",
    "hall/light/ceiling/command",
    "hall/climate/heating/target_temperature/command",
    "mimo-voice/status",
    "homeassistant/status",
)
FORBIDDEN_TO_THE_ASSISTANT = (
    "zigbee2mqtt/bridge/request/device/remove",
    "zigbee2mqtt/desk",
    "homeassistant/light/fake/config",
    "tele/kitchen-lamp/LWT",
    "stat/kitchen-lamp/RESULT",
    "hall/light/ceiling/state",
    "anything/else",
)
MAY_PUBLISH = [
    *(("mimo-voice", topic, True) for topic in COMMANDS),
    *(("mimo-voice", topic, False) for topic in FORBIDDEN_TO_THE_ASSISTANT),
    ("zigbee2mqtt", "homeassistant/light/0x1/light/config", True),
    ("zigbee2mqtt", "zigbee2mqtt/desk", True),
    ("zigbee2mqtt", "cmnd/garage-door/POWER", False),
    ("kitchen-lamp", "tele/kitchen-lamp/STATE", True),
    ("kitchen-lamp", "stat/kitchen-lamp/RESULT", True),
    ("kitchen-lamp", "kitchen-lamp/light/bulb/state", True),
    ("kitchen-lamp", "homeassistant/light/kitchen-lamp/config", True),
    ("kitchen-lamp", "homeassistant/light/kitchen-lamp/bulb/config", True),
    ("kitchen-lamp", "tasmota/discovery/AABBCC/config", True),
    ("kitchen-lamp", "cmnd/garage-door/POWER", False),
    ("kitchen-lamp", "cmnd/kitchen-lamp/POWER", False),
    ("kitchen-lamp", "stat/garage-door/RESULT", False),
    ("kitchen-lamp", "garage-door/cover/door/command", False),
    ("kitchen-lamp", "homeassistant/lock/garage-door/config", False),
    ("kitchen-lamp", "homeassistant/status", False),
    ("kitchen-lamp", "mimo-voice/status", False),
    ("kitchen-lamp", "zigbee2mqtt/desk/set", False),
]


@pytest.mark.parametrize(("name", "topic", "may"), MAY_PUBLISH)
def test_who_may_publish(connect: Connect, name: str, topic: str, may: bool) -> None:
    answer = connect(name).publish(topic)
    # "No matching subscribers" is MQTT 5's way of saying that it was accepted.
    assert answer == "Not authorized" if not may else answer != "Not authorized"


SAID = {
    "homeassistant/light/desk/config": {"mimo-voice", "zigbee2mqtt"},
    "zigbee2mqtt/desk": {"mimo-voice", "zigbee2mqtt"},
    "zigbee2mqtt/desk/set": {"mimo-voice", "zigbee2mqtt"},
    "tele/kitchen-lamp/STATE": {"mimo-voice"},
    "tasmota/discovery/AABBCC/config": {"mimo-voice"},
    "hall/light/ceiling/state": {"mimo-voice"},
    "cmnd/kitchen-lamp/POWER": {"kitchen-lamp"},
    "cmnd/garage-door/POWER": {"garage-door"},
    "garage-door/cover/door/command": {"garage-door"},
    "mimo-voice/status": {"mimo-voice"},
    "private/diary": set[str](),
    # The last, as everybody hears it: messages to one client arrive in order.
    "homeassistant/status": {"mimo-voice", "zigbee2mqtt", "kitchen-lamp", "garage-door"},
}


def test_who_hears_what(connect: Connect) -> None:
    listeners = {name: connect(name) for name in ACCOUNTS if name != "admin"}
    for client in listeners.values():
        client.subscribe("#")
    admin = connect("admin")
    for topic in SAID:
        assert admin.publish(topic) != "Not authorized"
    heard: dict[str, set[str]] = {topic: set() for topic in SAID}
    for name, client in listeners.items():
        topic = ""
        while topic != "homeassistant/status":
            topic = client.received.get(timeout=PATIENCE)
            heard[topic].add(name)
    assert heard == SAID
