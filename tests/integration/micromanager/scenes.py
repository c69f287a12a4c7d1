"""Acquisitions on the real Micro-Manager core with its simulated camera, one process each.

``python scenes.py SCENE ENDPOINTS.json RESULT.json``: a scene attaches to running recorders and writes down what
Micro-Manager itself has of every frame, for the test to compare with the store. pycromanager hangs rather than
fails: after 150 s every thread's stack is written out and the process ends.
"""

import faulthandler

faulthandler.dump_traceback_later(150, exit=True)

import json  # noqa: E402
import os  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402
import zlib  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
from mm_test_adapters import device_adapter_path  # noqa: E402

from quietscope.adapters.micromanager import live_denoising  # noqa: E402

SIDE = 128
ADAPTERS = Path(device_adapter_path())
CONFIGURATION = ADAPTERS / "MMConfig_demo.cfg"
TCZ = {
    "num_time_points": 3,
    "time_interval_s": 0.05,
    "z_start": 0,
    "z_end": 2,
    "z_step": 1,
    "channel_group": "Channel",
    "channels": ["DAPI", "FITC"],
    "channel_exposures_ms": [2, 4],
    "order": "tcz",
}


def crc(pixels) -> int:
    return zlib.crc32(np.ascontiguousarray(pixels).tobytes())


def report_of(live) -> dict:
    report = live.report
    return {
        "seen": report.seen,
        "stored": report.stored,
        "rejected": report.rejected,
        "lost": report.lost,
        "late": report.late,
        "missed": report.missed,
        "faults": list(report.faults),
    }


class Pycromanager:
    """A headless core with small frames."""

    def __init__(self) -> None:
        from pycromanager import Core, start_headless

        start_headless(str(ADAPTERS), str(CONFIGURATION), python_backend=True, buffer_size_mb=64)
        self.core = Core()
        self.camera("Camera")

    def camera(self, name: str, kind: str = "16bit") -> None:
        self.core.set_property(name, "OnCameraCCDXSize", SIDE)
        self.core.set_property(name, "OnCameraCCDYSize", SIDE)
        self.core.set_property(name, "PixelType", kind)
        self.core.set_exposure(2)

    def acquire(self, events, **ways):
        from pycromanager import Acquisition

        with Acquisition(**ways) as acquisition:
            acquisition.acquire(events)
        return acquisition.get_dataset()


def stored_by(dataset, t0: int = 0, channels=("DAPI", "FITC")) -> list:
    """Key and checksum of everything in Micro-Manager's own data set."""
    found = []
    for axes in dataset.get_image_coordinates_list():
        channel = channels.index(axes["channel"]) if "channel" in axes else len(channels)
        key = [t0 + axes.get("time", 0), channel, axes.get("z", 0), axes.get("position", 0)]
        found.append([key, crc(dataset.read_image(**axes))])
    return found


def pycromanager_faces(endpoints: dict, folder: Path) -> dict:
    """t × c × z and a sequence of 200 frames through each face, one session after the other into one run."""
    from ndstorage import Dataset
    from pycromanager import multi_d_acquisition_events

    mm, frames, reports, began = Pycromanager(), [], [], time.time_ns()
    tcz, sequence = multi_d_acquisition_events(**TCZ), multi_d_acquisition_events(num_time_points=200)
    with live_denoising(attach=endpoints["a"]) as live:
        frames += stored_by(mm.acquire(tcz, image_process_fn=live.hook))
        frames += stored_by(mm.acquire(sequence, image_process_fn=live.hook), t0=3)
    reports.append(report_of(live))
    with live_denoising(attach=endpoints["a"]) as live:
        for t0, events in ((203, tcz), (206, sequence)):
            saved = mm.acquire(events, image_saved_fn=live.saved, directory=str(folder), name=f"from{t0}")
            frames += stored_by(Dataset(saved.path), t0)
    reports.append(report_of(live))
    return {"frames": frames, "reports": reports, "began_ns": began, "ended_ns": time.time_ns()}


def pycromanager_kinds(endpoints: dict, folder: Path) -> dict:
    """8 bit, frames left to quietscope, positions, an abort, two cameras."""
    from ndstorage import Dataset
    from pycromanager import Acquisition, multi_d_acquisition_events

    mm, found = Pycromanager(), {}
    ten = multi_d_acquisition_events(num_time_points=10)

    mm.camera("Camera", "8bit")
    with live_denoising(attach=endpoints["a"]) as live:
        saved = mm.acquire(ten, image_saved_fn=live.saved, directory=str(folder), name="eight")
        frames = stored_by(Dataset(saved.path), channels=())
        mm.camera("Camera", "16bit")
        mm.acquire(ten, image_saved_fn=live.saved)
    found["eight_bit"] = {"frames": frames, "report": report_of(live)}

    seen = []

    def looking(hook):
        def look(image, metadata):
            seen.append(crc(image))
            return hook(image, metadata)

        return look

    with live_denoising(attach=endpoints["b"], store="quietscope") as live:
        kept = mm.acquire(ten, image_process_fn=looking(live.hook))
    frames = [[[t, 0, 0, 0], seen[t]] for t in range(10)]
    found["diverted"] = {
        "frames": frames,
        "report": report_of(live),
        "kept": len(kept.get_image_coordinates_list()),
    }

    with live_denoising(attach=endpoints["c"]) as live:
        events = multi_d_acquisition_events(
            num_time_points=3,
            time_interval_s=0.02,
            xy_positions=np.array([[0, 0], [10, 0], [0, 10]]),
            position_labels=["left", "middle", "right"],
        )
        dataset = mm.acquire(events, image_process_fn=live.hook)
        labels = ("left", "middle", "right")
        frames = [
            [[a["time"], 0, 0, labels.index(a["position"])], crc(dataset.read_image(**a))]
            for a in dataset.get_image_coordinates_list()
        ]
    found["positions"] = {"frames": frames, "report": report_of(live)}

    with live_denoising(attach=endpoints["d"]) as live:
        enough = threading.Event()
        hook = live.hook

        def counting(image, metadata):
            if live.report.seen >= 30:
                enough.set()
            return hook(image, metadata)

        with Acquisition(image_process_fn=counting) as acquisition:
            acquisition.acquire(multi_d_acquisition_events(num_time_points=100_000))
            enough.wait(30)
            acquisition.abort()
        frames = stored_by(acquisition.get_dataset(), channels=())
    found["aborted"] = {"frames": frames, "report": report_of(live)}

    found["two_cameras"] = two_cameras(mm, endpoints["e"])
    return found


def two_cameras(mm: Pycromanager, endpoint: str) -> dict:
    from pycromanager import multi_d_acquisition_events

    mm.core.load_device("Second", "DemoCamera", "DCam")
    mm.core.initialize_device("Second")
    mm.core.load_device("Both", "Utilities", "Multi Camera")
    mm.core.initialize_device("Both")
    mm.camera("Second")
    mm.core.set_property("Both", "Physical Camera 1", "Camera")
    mm.core.set_property("Both", "Physical Camera 2", "Second")
    mm.core.set_camera_device("Both")
    mm.core.set_exposure(2)
    sequence, snapped = [], []

    def looking(hook):
        def look(image, tags):
            if "ImageNumber" in tags:
                camera = int(tags["Both-CameraChannelIndex"])
                sequence.append([[int(tags["ImageNumber"]), camera, 0, 0], crc(image)])
            else:
                preset = ["DAPI", "FITC"].index(tags["Axes"]["channel"])
                channel = 2 + 2 * preset + tags["CameraChannelIndex"]
                snapped.append([[20 + tags["Axes"]["time"], channel, 0, 0], crc(image)])
            return hook(image, tags)

        return look

    with live_denoising(attach=endpoint) as live:
        mm.acquire(multi_d_acquisition_events(num_time_points=20), image_process_fn=looking(live.hook))
        snaps = multi_d_acquisition_events(
            num_time_points=2, time_interval_s=0.05, channel_group="Channel", channels=["DAPI", "FITC"]
        )
        mm.acquire(snaps, image_process_fn=looking(live.hook))
    return {"frames": sequence + snapped, "report": report_of(live)}


def pycromanager_faults(endpoints: dict, folder: Path) -> dict:
    """Too little memory, live mode, and a recorder that dies in mid-run; the acquisitions do not notice."""
    from pycromanager import multi_d_acquisition_events

    mm, found = Pycromanager(), {}
    hundred = multi_d_acquisition_events(num_time_points=100)
    with live_denoising(attach=endpoints["a"], memory_mb=0.05) as live:
        kept = mm.acquire(hundred, image_process_fn=live.hook)
    found["full"] = {"report": report_of(live), "kept": len(kept.get_image_coordinates_list())}

    with live_denoising(attach=endpoints["b"]) as live:
        mm.core.start_continuous_sequence_acquisition(0)
        with live.poll(mm.core, interval_s=0.02):
            deadline = time.monotonic() + 20
            while live.report.seen < 10 and time.monotonic() < deadline:
                time.sleep(0.01)
            mm.core.stop_sequence_acquisition()
    found["live_mode"] = {"report": report_of(live)}

    with live_denoising(attach=endpoints["stalled"], memory_mb=4) as live:
        hook = live.hook

        def stalling(image, metadata):
            if live.report.seen == 20:
                os.kill(endpoints["stalled_pid"], signal.SIGSTOP)
            return hook(image, metadata)

        kept = mm.acquire(multi_d_acquisition_events(num_time_points=300), image_process_fn=stalling)
        time.sleep(0.5)
        os.kill(endpoints["stalled_pid"], signal.SIGCONT)
    spilled = live.peak_memory_mb
    found["stalled"] = {"report": report_of(live), "frames": stored_by(kept, channels=()), "peak_mb": spilled}

    with live_denoising(attach=endpoints["run"], memory_mb=4) as live:
        hook = live.hook

        def killing(image, metadata):
            if live.report.seen == 50:
                os.kill(endpoints["pid"], signal.SIGKILL)
            return hook(image, metadata)

        kept = mm.acquire(multi_d_acquisition_events(num_time_points=300), image_process_fn=killing)
        seen = stored_by(kept, channels=())
        deadline = time.monotonic() + 20
        while not live.report.faults and time.monotonic() < deadline:
            time.sleep(0.1)
    found["killed"] = {"report": report_of(live), "kept": len(seen), "frames": seen}
    return found


def plus_faces(endpoints: dict, folder: Path) -> dict:
    """pymmcore-plus: as an output beside a store, as a listener, paused, cancelled, failed, two cameras."""
    import tensorstore
    import useq
    from pymmcore_plus import CMMCorePlus

    core = CMMCorePlus.instance()
    core.setDeviceAdapterSearchPaths([str(ADAPTERS)])
    core.loadSystemConfiguration(str(CONFIGURATION))
    for axis in "XY":
        core.setProperty("Camera", f"OnCameraCCD{axis}Size", SIDE)
    core.setExposure(2)
    found: dict = {"began_ns": time.time_ns()}
    stamps: list = []

    with live_denoising(attach=endpoints["a"]) as live:
        sequence = useq.MDASequence(
            axis_order="tcz",
            channels=[{"config": "DAPI", "exposure": 2}, {"config": "FITC", "exposure": 4}],
            time_plan={"interval": 0.05, "loops": 3},
            z_plan={"range": 2, "step": 1},
        )
        store = folder / "raw.ome.zarr"
        core.mda.run(sequence, output=[live.output, str(store), Stamps(stamps)])
        array = tensorstore.open(
            {"driver": "auto", "kvstore": {"driver": "file", "path": str(store / "0")}}
        ).result()
        pixels = np.asarray(array.read().result())
        frames = [[[t, c, z, 0], crc(pixels[t, c, z])] for t in range(3) for c in range(2) for z in range(3)]

        seen = []
        core.mda.run(
            useq.MDASequence(time_plan={"interval": 0, "loops": 200}),
            output=[live.output, Looker(seen), Stamps(stamps)],
        )
        frames += [[[3 + n, 2, 0, 0], checksum] for n, checksum in enumerate(seen)]
    found["output"] = {"frames": frames, "report": report_of(live), "stamps": stamps}
    found["ended_ns"] = time.time_ns()

    with live_denoising(attach=endpoints["b"]) as live, live.listen(core.mda.events):
        seen = []
        core.mda.run(useq.MDASequence(time_plan={"interval": 0, "loops": 100}), output=Looker(seen))
        frames = [[[n, 0, 0, 0], checksum] for n, checksum in enumerate(seen)]

        slow = useq.MDASequence(time_plan={"interval": 0.05, "loops": 400})
        seen = []
        thread = core.run_mda(slow, output=Looker(seen))
        while len(seen) < 3:
            time.sleep(0.01)
        core.mda.set_paused(True)
        time.sleep(0.2)
        core.mda.set_paused(False)
        while len(seen) < 6:
            time.sleep(0.01)
        core.mda.cancel()
        thread.join(20)
        frames += [[[100 + n, 0, 0, 0], checksum] for n, checksum in enumerate(seen)]

        offset = 100 + len(seen)
        seen = []
        failing = useq.MDASequence(
            time_plan={"interval": 0.02, "loops": 3}, channels=["DAPI", "no such filter"]
        )
        try:
            core.mda.run(failing, output=Looker(seen))
        except Exception as error:  # noqa: BLE001 - any error will do
            found["failed"] = repr(error)
        frames += [[[offset + n, 1, 0, 0], checksum] for n, checksum in enumerate(seen)]
    found["listener"] = {"frames": frames, "report": report_of(live)}

    core.loadDevice("Second", "DemoCamera", "DCam")
    core.initializeDevice("Second")
    core.loadDevice("Both", "Utilities", "Multi Camera")
    core.initializeDevice("Both")
    core.setProperty("Second", "PixelType", core.getProperty("Camera", "PixelType"))
    for axis in "XY":
        core.setProperty("Second", f"OnCameraCCD{axis}Size", SIDE)
    core.setProperty("Both", "Physical Camera 1", "Camera")
    core.setProperty("Both", "Physical Camera 2", "Second")
    core.setCameraDevice("Both")
    with live_denoising(attach=endpoints["c"]) as live:
        keyed: list = []
        both = Looker(keyed, keyed=True)
        core.mda.run(useq.MDASequence(time_plan={"interval": 0, "loops": 20}), output=[live.output, both])
    found["two_cameras"] = {"frames": keyed, "report": report_of(live)}
    core.unloadAllDevices()
    return found


class Looker:
    """An output that notes the checksum of every frame."""

    def __init__(self, seen: list, *, keyed: bool = False) -> None:
        self._seen = seen
        self._keyed = keyed

    def frameReady(self, image, event, _meta) -> None:  # noqa: N802
        index = {str(getattr(axis, "value", axis)): n for axis, n in event.index.items()}
        key = [index.get("t", 0), index.get("cam", 0), index.get("z", 0), 0]
        self._seen.append([key, crc(image)] if self._keyed else crc(image))


class Stamps:
    """An output that notes when pymmcore-plus and the core say that each frame was taken."""

    def __init__(self, found: list) -> None:
        self._found = found

    def frameReady(self, _image, _event, meta) -> None:  # noqa: N802
        from_core = (meta.get("camera_metadata") or {}).get("TimeReceivedByCore")
        self._found.append([meta.get("runner_time_ms"), from_core])


def main() -> None:
    scene, endpoints, result = sys.argv[1:]
    found = globals()[scene](json.loads(Path(endpoints).read_text()), Path(result).parent)
    Path(result).write_text(json.dumps(found))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
