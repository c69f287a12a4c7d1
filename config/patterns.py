"""Forms of texts in settings, and what they are in words."""

__all__ = ["ADDRESS", "AXES", "NAME", "WORDS"]

ADDRESS = r"^tcp://[^:]+:\d{1,5}$"
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
AXES = r"^([tczp]\d*)*$"

WORDS = {
    ADDRESS: 'an address such as "tcp://127.0.0.1:5555"',
    NAME: "a name of at most 100 letters, digits, dots, dashes and underscores that begins with a letter or a digit",
    AXES: 'letters t, c, z, p with the number of planes of each, such as "tc2"',
}
"""Pattern → words for error messages."""
