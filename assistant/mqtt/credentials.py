"""What we prove ourselves to the broker with, and how the broker proves itself to us.

Files are read anew for every connection, so a renewed certificate or password is taken up
without a restart.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from assistant.config import MqttSettings
from assistant.errors import ConfigError


def password(settings: MqttSettings) -> str | None:
    """The password from the settings or, where they name one, from its file's first line.

    Raises ConfigError when the file can't be read, or when there is no user to go with it.
    """
    if settings.password is not None:
        secret = settings.password.get_secret_value()
    elif settings.password_file is not None:
        secret = _first_line(settings.password_file)
    else:
        return None
    if settings.username is None:
        raise ConfigError("mqtt.username: is missing; a password needs a user to go with it")
    return secret


def tls_context(settings: MqttSettings) -> ssl.SSLContext | None:
    """How to encrypt, or None without TLS. The broker's certificate and name are always checked.

    Raises ConfigError, naming the setting, when a certificate or key can't be used.
    """
    given = {
        "ca_file": settings.ca_file,
        "cert_file": settings.cert_file,
        "key_file": settings.key_file,
    }
    if not settings.tls:
        if unused := next((name for name, path in given.items() if path), None):
            raise ConfigError(f"mqtt.{unused}: has no effect without tls; set tls = true")
        return None
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.ca_file is not None:
        # Only this authority counts: the system's could vouch for another broker.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_verify_locations(settings.ca_file)
        except OSError as error:
            raise _unusable("ca_file", settings.ca_file, error) from error
    if settings.cert_file is not None:
        try:
            # An empty passphrase makes an encrypted key an error instead of a prompt.
            context.load_cert_chain(settings.cert_file, settings.key_file, password="")
        except OSError as error:
            name = "key_file" if settings.key_file else "cert_file"
            raise _unusable(name, settings.key_file or settings.cert_file, error) from error
    elif settings.key_file is not None:
        raise ConfigError("mqtt.key_file: has no effect without cert_file; set both")
    return context


def _first_line(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable("password_file", path, error) from error
    if not lines or not lines[0]:
        raise ConfigError(f"mqtt.password_file: {path}: has no password in its first line")
    return lines[0]


def _unusable(key: str, path: Path, error: OSError | UnicodeDecodeError) -> ConfigError:
    if isinstance(error, ssl.SSLError):
        why = (
            f"can't be used ({error.reason or error}); it must be PEM, a key without a "
            "passphrase, and key and certificate must belong together"
        )
    elif isinstance(error, UnicodeDecodeError):
        why = "is not UTF-8 text"
    else:
        why = f"can't be read ({error.strerror}); check that it exists and who may read it"
    return ConfigError(f"mqtt.{key}: {path}: {why}")
