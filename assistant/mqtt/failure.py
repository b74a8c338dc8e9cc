"""Why there is no connection, in words for the person who must act."""

from __future__ import annotations

import socket
import ssl

from paho.mqtt.reasoncodes import ReasonCode

from assistant.errors import MqttError

# Reason codes of CONNACK that have a remedy (MQTT 5, section 3.2.2.2); paho translates those of
# MQTT 3.1.1 into them.
_UNSUPPORTED_VERSION = 0x84
_REMEDIES = {
    0x85: "it does not like our client id; set another mqtt.client_id",
    0x86: "user or password is wrong; set mqtt.username and mqtt.password (or password_file)",
    0x87: "it does not let us in; check mqtt.username, mqtt.password and the broker's access rules",
    0x8A: "it has banned us; lift the ban at the broker",
    0x97: "a quota is exceeded; raise the broker's limits",
    0x9F: "we connected too often; raise the broker's limit",
}


class RefusedError(MqttError):
    """The broker answered, but won't have us: waiting alone won't help."""


class VersionRefusedError(RefusedError):
    """The broker does not speak this version of MQTT."""


class HungUpError(MqttError):
    """The connection was closed before the broker said anything."""


def refused(address: str, reason: ReasonCode) -> MqttError:
    """What a CONNACK other than success means."""
    if reason.value == _UNSUPPORTED_VERSION:
        return VersionRefusedError(
            f"the MQTT broker at {address} does not speak the version asked for; "
            'set mqtt.protocol = "auto"'
        )
    if remedy := _REMEDIES.get(reason.value):
        return RefusedError(f"the MQTT broker at {address} refuses us: {remedy}")
    return MqttError(f"the MQTT broker at {address} refuses us for now: {reason}")


def unreachable(address: str, error: Exception) -> MqttError:
    """What an exception while connecting means."""
    match error:
        case ssl.SSLCertVerificationError():
            return RefusedError(
                f"the MQTT broker at {address} can't prove who it is ({error.verify_message}); set "
                "mqtt.ca_file to the authority that signed its certificate, and mqtt.host to a "
                "name in it"
            )
        case ssl.SSLError():
            return RefusedError(
                f"no TLS connection to the MQTT broker at {address} ({error.reason or error}); "
                "check that mqtt.port is its TLS port, and that cert_file is set where it wants one"
            )
        case socket.gaierror():
            return MqttError(
                f"the name of the MQTT broker at {address} is not known ({error.strerror}); "
                "check mqtt.host and the network's name server"
            )
        case ConnectionRefusedError():
            return MqttError(
                f"nothing answers at {address}; check that the MQTT broker runs there, "
                "and mqtt.host and mqtt.port"
            )
        case ConnectionResetError() | ConnectionAbortedError() | BrokenPipeError():
            return hung_up(address, "it hung up")
        case TimeoutError():
            return MqttError(
                f"the MQTT broker at {address} does not answer; check mqtt.host, mqtt.port, "
                "mqtt.tls, the network and firewalls"
            )
        case OSError():
            return MqttError(
                f"the MQTT broker at {address} can't be reached ({error.strerror or error}); check "
                "mqtt.host and the network"
            )
        case _:
            return MqttError(f"the MQTT broker at {address} can't be reached: {error}")


def hung_up(address: str, detail: str) -> MqttError:
    """The connection ended before the broker answered; `detail` is what is known of the end."""
    if "ALERT" in detail.upper():  # a TLS alert: since TLS 1.3 it comes after the handshake
        return RefusedError(
            f"the MQTT broker at {address} rejects our TLS connection ({detail}); "
            "check mqtt.cert_file and mqtt.key_file"
        )
    return HungUpError(
        f"the MQTT broker at {address} gave no proper answer ({detail}); check "
        "that it is an MQTT port, and that mqtt.tls, mqtt.cert_file and mqtt.protocol are as the "
        "broker expects"
    )
