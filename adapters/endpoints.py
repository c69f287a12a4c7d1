"""Opening an address for others to connect to, with errors that say how to mend them."""

import ipaddress
from urllib.parse import urlsplit

import zmq

from quietscope.config.errors import WireError

__all__ = ["bind", "is_this_computer", "local_endpoint"]


def bind(socket: "zmq.Socket[bytes]", endpoint: str, setting: str, *, secured: bool = False) -> str:
    """Bind a socket to an address of this computer.

    Parameters
    ----------
    socket
        An unbound socket.
    endpoint
        ``tcp://HOST:PORT``; port 0 takes a free one.
    setting
        Name of the setting that holds the address, for messages (``publish.endpoint``).
    secured
        Whether the socket demands CURVE keys; only then may other computers reach it.

    Returns
    -------
    str
        The address really bound.

    Raises
    ------
    quietscope.config.WireError
        If other computers could reach the address, or it cannot be bound.
    """
    parts = urlsplit(endpoint)
    try:
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        msg = f"{setting} = {endpoint!r} is no address: {error}; write tcp://HOST:PORT"
        raise WireError(msg) from error
    if parts.scheme != "tcp" or port is None:
        msg = (
            f"{setting} = {endpoint!r} is no address; write tcp://HOST:PORT, for example tcp://127.0.0.1:5555"
        )
        raise WireError(msg)
    if not secured and not is_this_computer(host):
        msg = (
            f"{setting} = {endpoint!r} could be reached from other computers, which needs CURVE keys. "
            "Make them with `quietscope keys new FOLDER` and set security.keys = 'FOLDER', or set "
            f"{setting} = 'tcp://127.0.0.1:{port}' and forward the port, for example over SSH."
        )
        raise WireError(msg)
    try:
        socket.bind(endpoint)
    except zmq.ZMQError as error:
        if error.errno == zmq.EADDRINUSE:
            msg = (
                f"Port {port} of {setting} = {endpoint!r} is in use, perhaps by another run. "
                f"End that one, or set {setting} to another port (0 takes a free one)."
            )
        else:
            msg = f"Cannot open {setting} = {endpoint!r}: {error}. Set {setting} = 'tcp://127.0.0.1:0'."
        raise WireError(msg) from error
    return socket.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0")


def local_endpoint(endpoint: str) -> str:
    """The address at which this computer itself reaches a socket that is bound to all its addresses."""
    return endpoint.replace("tcp://0.0.0.0:", "tcp://127.0.0.1:")


def is_this_computer(host: str) -> bool:
    """Tell whether a name or address can only be reached from this computer."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
