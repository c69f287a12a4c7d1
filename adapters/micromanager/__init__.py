"""Micro-Manager: every way in, for frames of pycromanager, pymmcore-plus and live mode.

`live_denoising` is all that a script needs::

    with live_denoising() as live:
        with Acquisition("D:/data", "cells", image_process_fn=live.hook) as acquisition:
            acquisition.acquire(events)

Whatever happens to quietscope, the acquisition goes on: the hooks copy a frame, hand it over and count it; they never
wait and never raise.
"""

from quietscope.adapters.micromanager.live import Live, Store, live_denoising
from quietscope.adapters.micromanager.report import Report

__all__ = ["Live", "Report", "Store", "live_denoising"]
