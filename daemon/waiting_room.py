"""Where frames made of others wait for room in the recorder's memory, so that nothing else waits with them."""

import time
from collections import deque
from collections.abc import Callable

from quietscope.config import QuietscopeError, WireError
from quietscope.daemon.vault import Deposit, Vault

__all__ = ["WaitingRoom"]

_PATIENCE_S = 30.0
_CAPACITY = 64_000_000


class WaitingRoom:
    """First-in-first-out queue before the vault, bounded in bytes and time. To be used from one thread.

    Raw frames go past it: the camera never waits for what was made of earlier frames. Senders hold back by
    their own byte budget, so that it fills only if the disk stalls.

    Parameters
    ----------
    vault
        Where the frames go.
    """

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._waiting: deque[tuple[Deposit, float, Callable[[QuietscopeError], None]]] = deque()
        self._bytes = 0

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def put(self, deposit: Deposit, refuse: Callable[[QuietscopeError], None]) -> None:
        """Hand a frame on, or let it wait.

        Parameters
        ----------
        deposit
            The frame.
        refuse
            Called with the reason if it has waited in vain.
        """
        if not self._waiting and self._vault.deposit(deposit, timeout_s=0.0, again=True):
            return
        if self._waiting and self._bytes + deposit.nbytes > _CAPACITY:
            refuse(_no_room(deposit))
            return
        self._waiting.append((deposit, time.monotonic() + _PATIENCE_S, refuse))
        self._bytes += deposit.nbytes

    def empty(self) -> None:
        """Hand on what finds room now; refuse what has waited too long, or all if nothing is taken any more."""
        while self._waiting:
            deposit, deadline, refuse = self._waiting[0]
            taken = self._vault.deposit(deposit, timeout_s=0.0, again=True)
            if not taken and not self._vault.closed and time.monotonic() < deadline:
                return
            self._waiting.popleft()
            self._bytes -= deposit.nbytes
            if not taken:
                refuse(_no_room(deposit))


def _no_room(deposit: Deposit) -> WireError:
    return WireError(
        f"no room for a frame made of {deposit.frame.key} within {_PATIENCE_S:g} s; send it again"
    )
