"""Random messages and files against everything that reads from outside: an error or the right answer, nothing else.

Run ``python tests/benchmarks/fuzz.py wire --count 1000000``; also ``tiff``, ``ndtiff`` and ``settings`` (``--seed``).
Prints how many cases were refused and how many were taken; any other outcome (another exception, a wrong frame or
value, more than ten seconds of computing for one case) is printed with its seed, and the exit status is 1.
"""

import argparse
import faulthandler
import io
import json
import logging
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from hostile_ndtiff import TEXTS, check_ndtiff
from hostile_settings import check_settings
from mutation import mutated

from quietscope.adapters.folder.contents import Plane, look_into
from quietscope.adapters.folder.readers import read_plane
from quietscope.adapters.frame import FrameKey
from quietscope.adapters.ingest import decode_message, encode_message
from quietscope.adapters.wire import decode, encode
from quietscope.adapters.wire_headers import FrameHeader
from quietscope.config import FrameError, WireError

LONGEST_S = 10.0
HANG_S = 300.0
"""A case that takes so long ends the command with its stack."""


def check_wire(seed: int) -> str:
    """One message of one of both wires; ``refused`` or ``taken``."""
    rng = np.random.default_rng([seed, 1])
    dtype = str(rng.choice(["uint8", "uint16", "int16", "float32"]))
    pixels = rng.integers(0, 100, (int(rng.integers(1, 9)), int(rng.integers(1, 9)))).astype(dtype)
    viewers = rng.random() < 0.5
    if viewers:
        header = FrameHeader.of(
            pixels, kind="raw", key=FrameKey(3, 1), publisher="a", series="b", sequence=7, published_ns=2
        )
        parts = [bytes(part) for part in encode(header, pixels)]
    else:
        fields = {"type": "frame", "n": 1, "kind": "raw", "key": [3, 1, 0, 0], "received_ns": 5}
        parts = [bytes(part) for part in encode_message(fields, pixels)]
    original = parts[2]
    if rng.random() < 0.05:
        parts = parts[: int(rng.integers(4))] + [b"x"] * int(rng.integers(3))
    else:
        which = int(rng.integers(len(parts)))
        parts[which] = mutated(parts[which], rng)
    try:
        found, taken = decode(parts) if viewers else decode_message(parts)
    except WireError:
        return "refused"
    if taken is not None:
        told = json.loads(parts[1])
        shape = tuple(told["shape"])
        if taken.shape != shape or taken.tobytes() != parts[2]:
            return f"wrong frame: {found}"
        if (
            parts[2] == original
            and shape == pixels.shape
            and told["dtype"].endswith(dtype)
            and (taken != pixels).any()
        ):
            return "wrong pixels"
    return "taken"


def make_tiff(rng: np.random.Generator) -> tuple[bytes, list[np.ndarray]]:
    """A TIFF as microscopes write them, and its planes."""
    pages = int(rng.integers(1, 4))
    shape = (int(rng.integers(8, 40)), int(rng.integers(8, 40)))
    dtype = rng.choice(["uint8", "uint16", "float32"])
    planes = [rng.integers(0, 255, shape).astype(dtype) for _ in range(pages)]
    said = TEXTS[int(rng.integers(len(TEXTS)))]
    options: list[dict[str, Any]] = [
        {},
        {"byteorder": ">"},
        {"rowsperstrip": 5},
        {"bigtiff": True},
        {"ome": True},
        {"compression": "zlib"},
        {"tile": (16, 16)},
        {"description": said, "metadata": None},
        {"extratags": [(51123, "s", 0, said, True)]},
    ]
    out = io.BytesIO()
    tifffile.imwrite(
        out, np.stack(planes), photometric="minisblack", **options[int(rng.integers(len(options)))]
    )
    return out.getvalue(), planes


def check_tiff(seed: int, path: Path) -> str:
    """One truncated or mutated file; every plane of a truncated one must be as it was written."""
    rng = np.random.default_rng([seed // 50, 2])
    content, planes = make_tiff(rng)
    rng = np.random.default_rng([seed, 3])
    truncated = rng.random() < 0.5
    path.write_bytes(content[: int(rng.integers(len(content)))] if truncated else mutated(content, rng))
    taken = 0
    with path.open("rb", buffering=0) as file:
        try:
            contents = look_into(file, path.name)
        except FrameError:
            return "refused"
        for plane in contents.planes:
            if not isinstance(plane, Plane):
                continue
            try:
                pixels = read_plane(file, plane)
            except FrameError:
                continue
            taken += 1
            if truncated and not np.array_equal(pixels, planes[plane.index]):
                return f"wrong frame {plane.index}"
    return "taken" if taken else "refused"


def fuzz(
    what: str, count: int, first: int = 0, *, on_case: Callable[[], None] = lambda: None
) -> tuple[Counter[str], list[str]]:
    """Outcomes of `count` cases, and everything that should not be."""
    outcomes: Counter[str] = Counter()
    bad: list[str] = []
    with tempfile.TemporaryDirectory(prefix="quietscope-fuzz-") as folder:
        path = Path(folder) / "case"
        data_set = Path(folder) / "data set"
        data_set.mkdir()
        checks: dict[str, Callable[[int], str]] = {
            "wire": check_wire,
            "tiff": lambda seed: check_tiff(seed, path),
            "ndtiff": lambda seed: check_ndtiff(seed, data_set),
            "settings": lambda seed: check_settings(seed, path),
        }
        for seed in range(first, first + count):
            on_case()
            started = time.process_time()
            try:
                outcome = checks[what](seed)
            except Exception as error:  # noqa: BLE001 - that is what is looked for
                outcome = f"{type(error).__name__}: {error}"
            if time.process_time() - started > LONGEST_S:
                outcome = f"took {time.process_time() - started:.0f} s"
            if outcome in {"taken", "refused"}:
                outcomes[outcome] += 1
            else:
                outcomes["bad"] += 1
                bad.append(f"seed {seed}: {outcome[:300]}")
    return outcomes, bad


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["wire", "tiff", "ndtiff", "settings"])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    outcomes, bad = fuzz(
        arguments.what,
        arguments.count,
        arguments.seed,
        on_case=lambda: faulthandler.dump_traceback_later(HANG_S, exit=True),
    )
    faulthandler.cancel_dump_traceback_later()
    print(json.dumps({"what": arguments.what, **outcomes}))
    print(*bad[:50], sep="\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
