"""Damage of the kind that files and messages come to."""

import numpy as np

__all__ = ["mutated"]


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """Cut, flip, overwrite, insert, double: one to four times."""
    data = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        if not data:
            break
        at = int(rng.integers(len(data)))
        match int(rng.integers(6)):
            case 0:
                del data[at:]
            case 1:
                data[at] ^= 1 << int(rng.integers(8))
            case 2:
                data[at : at + 4] = rng.bytes(4)
            case 3:
                data[at:at] = rng.bytes(int(rng.integers(1, 9)))
            case 4:
                data[at : at + 4] = bytes([255] * 4) if rng.random() < 0.5 else bytes(4)
            case _:
                del data[at : at + int(rng.integers(1, 9))]
    return bytes(data)
