"""CURVE keys of the wires: made, loaded, and put on sockets. ZeroMQ's own file format, so that other tools read them.

The folder of a recording computer::

    server.key, server.key_secret    the computer's own pair
    client.key_secret                what its own processes connect with
    clients/NAME.key                 public keys of everyone who may connect (remove one, and it may not)
    for-NAME/                        what NAME needs (client.key_secret and server.key), to be handed over
"""

import os
import re
import shutil
from pathlib import Path

import zmq
from zmq.auth.certs import create_certificates, load_certificate

from quietscope.config.errors import SettingsError

__all__ = ["add_client", "allowed_clients", "make_keys", "use_client_keys", "use_server_keys"]

_OWN = "this-computer"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def make_keys(folder: Path) -> None:
    """Make the keys of a recording computer.

    Parameters
    ----------
    folder
        Where; must not hold any yet.

    Raises
    ------
    quietscope.config.SettingsError
        If there are keys already or the folder cannot be written.
    """
    if (folder / "server.key_secret").exists():
        msg = f"there are keys in {folder} already; use them, or choose another folder"
        raise SettingsError(msg)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        (folder / "clients").mkdir(exist_ok=True)
        create_certificates(folder, "server")
        (folder / "server.key_secret").chmod(0o600)
    except OSError as error:
        msg = f"cannot make keys in {folder}: {error.strerror}; choose a folder that you may write"
        raise SettingsError(msg) from error
    made = add_client(folder, _OWN)
    os.replace(made / "client.key_secret", folder / "client.key_secret")
    shutil.rmtree(made)


def add_client(folder: Path, name: str) -> Path:
    """Make a pair for somebody who may connect.

    Parameters
    ----------
    folder
        Keys of the recording computer.
    name
        Letters, digits, dots, hyphens; names the entry in the allow-list.

    Returns
    -------
    Path
        Folder to be handed over; the other computer's ``keys``.

    Raises
    ------
    quietscope.config.SettingsError
        If there are no keys in `folder`, the name is not usable or taken, or the folder cannot be written.
    """
    if not (folder / "server.key").exists():
        msg = f"there are no keys in {folder}; make them with: quietscope keys new {folder}"
        raise SettingsError(msg)
    if not _NAME.fullmatch(name):
        msg = f"{name!r} is no name for a key; use letters, digits, dots and hyphens"
        raise SettingsError(msg)
    if (folder / "clients" / f"{name}.key").exists():
        msg = f"{name} is in the allow-list {folder / 'clients'} already; choose another name, or remove that file"
        raise SettingsError(msg)
    out = folder / f"for-{name}"
    try:
        out.mkdir()
        public, secret = create_certificates(out, "client")
        Path(secret).chmod(0o600)
        os.replace(public, folder / "clients" / f"{name}.key")
        shutil.copyfile(folder / "server.key", out / "server.key")
    except OSError as error:
        msg = (
            f"cannot make a key in {out}: {error.strerror}; remove what is there, and see that you may write"
        )
        raise SettingsError(msg) from error
    return out


def allowed_clients(folder: Path) -> dict[bytes, str]:
    """Public keys of everyone who may connect, as they stand now.

    Parameters
    ----------
    folder
        Keys of the recording computer.

    Returns
    -------
    dict
        Public key (Z85) → name; files that are no keys are left out.
    """
    found: dict[bytes, str] = {}
    for path in sorted((folder / "clients").glob("*.key")):
        try:
            found[load_certificate(path)[0]] = path.stem
        except (OSError, ValueError):
            continue
    return found


def use_server_keys(socket: "zmq.Socket[bytes]", folder: Path) -> None:
    """Let a socket that will be bound demand keys.

    Raises
    ------
    quietscope.config.SettingsError
        If there are no keys in `folder`.
    """
    public, secret = _pair(folder / "server.key_secret")
    socket.curve_server = True
    socket.curve_publickey, socket.curve_secretkey = public, secret
    socket.zap_domain = b"quietscope"


def use_client_keys(socket: "zmq.Socket[bytes]", folder: Path | None) -> None:
    """Let a socket that will connect show its key; without a folder it has none.

    Raises
    ------
    quietscope.config.SettingsError
        If there are no keys in `folder`.
    """
    if folder is None:
        return
    socket.curve_publickey, socket.curve_secretkey = _pair(folder / "client.key_secret")
    socket.curve_serverkey = _load(folder / "server.key")[0]


def _pair(path: Path) -> tuple[bytes, bytes]:
    public, secret = _load(path)
    if secret is None:
        msg = f"{path} holds no secret key; make keys anew with: quietscope keys new FOLDER"
        raise SettingsError(msg)
    return public, secret


def _load(path: Path) -> tuple[bytes, bytes | None]:
    try:
        return load_certificate(path)
    except (OSError, ValueError) as error:
        msg = f"the key {path} cannot be read ({error}); make keys with: quietscope keys new {path.parent}"
        raise SettingsError(msg) from error
