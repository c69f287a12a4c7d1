"""Who is compared: a classical baseline, or a method with its settings."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from quietscope.config import Settings, SettingsError
from quietscope.config.loader import load_settings
from quietscope.models.baselines import BASELINES

__all__ = ["Contender"]

_STANDS_ON = {"noise2noise": "noise2sr", "published-sn2n": "adaptive-sn2n"}
"""Methods for comparison only → the method whose settings they take."""

_METHODS = (*get_args(Settings.model_fields["method"].annotation), *_STANDS_ON)


@dataclass(frozen=True)
class Contender:
    """A row of the table for every case.

    Parameters
    ----------
    name
        For the table's second column.
    method
        A baseline, a method of the settings, ``noise2noise``, which needs captures of a motionless scene, or
        ``published-sn2n``, the published network.
    changes
        Texts ``KEY=VALUE`` that change settings.
    profile
        Shipped settings to start from.
    inverted
        Whether the scale of each tile is taken back before tiles are blended; False only for comparisons with code
        that does not.

    Raises
    ------
    quietscope.config.SettingsError
        If there is no such method.
    """

    name: str
    method: str
    changes: tuple[str, ...] = ()
    profile: str | None = None
    inverted: bool = True

    def __post_init__(self) -> None:
        if self.method not in BASELINES and self.method not in _METHODS:
            known = ", ".join((*BASELINES, *_METHODS))
            raise SettingsError(f"there is no method {self.method!r}; take one of {known}")

    @property
    def learns(self) -> bool:
        """Whether it is trained."""
        return self.method not in BASELINES

    def settings(self, further: Sequence[str] = ()) -> Settings:
        """Settings of a method that learns.

        Parameters
        ----------
        further
            Texts ``KEY=VALUE`` that go over its own.

        Raises
        ------
        quietscope.config.SettingsError
            If a change is impossible.
        """
        method = _STANDS_ON.get(self.method, self.method)
        return load_settings(profile=self.profile, overrides=[f"method={method}", *self.changes, *further])
