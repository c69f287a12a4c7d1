"""Who may connect, and what the wires refuse."""

import os
import queue
import stat
import time
from pathlib import Path

import numpy as np
import pytest
import zmq
from typer.testing import CliRunner

from quietscope.adapters.frame import FrameKey, Series
from quietscope.adapters.ingest import IngestClient, encode_message
from quietscope.adapters.keyring import add_client, allowed_clients, make_keys, use_client_keys
from quietscope.adapters.publisher import Publisher
from quietscope.adapters.subscriber import Subscriber
from quietscope.config import SettingsError, WireError, WireTimeoutError
from quietscope.config.loader import load_settings, settings_to_toml
from quietscope.config.system import PublishSettings
from quietscope.daemon.child import Child
from quietscope.daemon.cli import app
from quietscope.daemon.ledger_reader import LedgerReader
from quietscope.daemon.runfolder import RunFolder

SERIES = Series(32, 48, "uint16", ("GFP",), "a test")
WIRE_SERIES = {"height": 32, "width": 48, "dtype": "uint16", "channels": ["GFP"], "source": "a test"}
PIXELS = np.arange(32 * 48, dtype="uint16").reshape(32, 48)


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("home") / "keys"
    make_keys(folder)
    add_client(folder, "alice")
    return folder


@pytest.fixture(scope="module")
def strangers(tmp_path_factory, keys) -> Path:
    """Keys of somebody who knows the server's public key, and is on no list of this computer."""
    folder = tmp_path_factory.mktemp("elsewhere") / "keys"
    make_keys(folder)
    (folder / "server.key").write_bytes((keys / "server.key").read_bytes())
    return folder


class Recorder:
    """A recorder process and what it says."""

    def __init__(self, tmp_path: Path, *changes: str) -> None:
        settings = load_settings(overrides=[f"out={tmp_path}", "name=run", "source.kind=wire", *changes])
        self.run = RunFolder.create(settings.out, settings.name)
        self.run.settings.write_text(settings_to_toml(settings), encoding="utf-8")
        self.events: queue.SimpleQueue[dict] = queue.SimpleQueue()
        self.child = Child(
            "recorder", ["recorder", str(self.run.root)], self.events, self.run.child_errors("recorder")
        )

    def wait(self, wanted, timeout_s: float = 60.0) -> dict:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            try:
                found = self.events.get(timeout=0.2)
            except queue.Empty:
                continue
            if wanted(found):
                return found
        pytest.fail(self.run.child_errors("recorder").read_text())

    @property
    def address(self) -> str:
        endpoint = self.wait(lambda event: event["event"] == "ready")["endpoint"]
        return endpoint.replace("//0.0.0.0:", "//127.0.0.1:")


@pytest.fixture
def recorder(tmp_path):
    made = []

    def make(*changes: str) -> Recorder:
        made.append(Recorder(tmp_path, *changes))
        return made[-1]

    yield make
    for one in made:
        one.child.end(5)


def is_stored(address: str, t: int, keys: Path | None, timeout_s: float = 5.0) -> bool:
    with IngestClient(address, sender="test", keys=keys) as client:
        client.send("series", series=WIRE_SERIES)
        number = client.send_frame(FrameKey(t), PIXELS)
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if (number, "stored") in [(ack.number, ack.status) for ack in client.poll(timeout_s=0.2)]:
                return True
    return False


def test_only_listed_keys_may_send_and_the_others_are_counted(recorder, keys, strangers):
    one = recorder(f"security.keys={keys}", "recorder.endpoint=tcp://0.0.0.0:0")
    address = one.address
    assert is_stored(address, 0, keys)
    assert is_stored(address, 1, keys / "for-alice")
    for refused in (strangers, None):
        assert not is_stored(address, 2, refused, timeout_s=1.0)
    one.wait(lambda event: event.get("refused", 0) >= 2)
    with LedgerReader(one.run.ledger) as ledger:
        assert len(ledger.checksums()) == 2


def test_a_key_that_was_removed_is_refused(recorder, tmp_path):
    folder = tmp_path / "keys"
    make_keys(folder)
    bob = add_client(folder, "bob")
    one = recorder(f"security.keys={folder}")
    address = one.address
    assert is_stored(address, 0, bob)
    (folder / "clients" / "bob.key").unlink()
    assert not is_stored(address, 1, bob, timeout_s=1.0)


@pytest.mark.parametrize("setting", ["recorder.endpoint", "publish.endpoint"])
def test_without_keys_the_daemon_refuses_addresses_that_others_can_reach(setting, recorder):
    if setting == "publish.endpoint":
        with pytest.raises(WireError, match="quietscope keys new"):
            Publisher(PublishSettings(endpoint="tcp://0.0.0.0:0"))
        return
    one = recorder(f"{setting}=tcp://0.0.0.0:0")
    assert one.wait(lambda event: event["event"] == "exit")["status"] == 2
    assert "quietscope keys new" in one.run.child_errors("recorder").read_text()


def test_viewers_need_a_key_as_well(keys, strangers):
    with Publisher(PublishSettings(endpoint="tcp://0.0.0.0:0"), SERIES, keys=keys) as publisher:
        address = publisher.endpoint.replace("//0.0.0.0:", "//127.0.0.1:")
        for whose, served in ((keys, True), (keys / "for-alice", True), (strangers, False), (None, False)):
            with Subscriber(address, timeout=0.5, keys=whose) as viewer:
                assert watches(publisher, viewer) == served
        assert publisher.refused >= 2


def watches(publisher: Publisher, viewer: Subscriber) -> bool:
    deadline = time.monotonic() + (10.0 if viewer is not None else 0)
    attempts = 0
    while time.monotonic() < deadline and attempts < 4:
        publisher.publish("raw", FrameKey(0), PIXELS, received_ns=0)
        for _ in range(10):
            publisher.poll()
            time.sleep(0.01)
        try:
            return viewer.receive() is not None
        except WireTimeoutError:
            attempts += 1
    return False


def test_missing_keys_are_named_with_the_command_that_makes_them(tmp_path, recorder):
    with pytest.raises(SettingsError, match="quietscope keys new"):
        IngestClient("tcp://127.0.0.1:5555", sender="test", keys=tmp_path)
    one = recorder(f"security.keys={tmp_path / 'nowhere'}")
    assert one.wait(lambda event: event["event"] == "exit")["status"] == 2
    assert "quietscope keys new" in one.run.child_errors("recorder").read_text()


def test_oversized_messages_are_dropped_and_counted_and_huge_ones_cut_off(recorder):
    one = recorder("security.max_message_mb=0.1")
    address = one.address
    context = zmq.Context()
    for nbytes, counted in ((150_000, True), (10_000_000, False)):
        stranger = context.socket(zmq.DEALER)
        stranger.setsockopt(zmq.LINGER, 1000)
        stranger.connect(address)
        stranger.send_multipart([b"quietscope-ingest/1", b"{}", bytes(nbytes)])
        if counted:
            assert one.wait(lambda event: event["event"] == "rejected")["reason"] == "oversized"
        stranger.close()
    context.term()
    assert is_stored(address, 0, None)


def test_a_replayed_message_is_no_second_frame(recorder):
    one = recorder()
    address = one.address
    assert is_stored(address, 0, None)
    assert not is_stored(address, 0, None, timeout_s=1.0)
    assert one.wait(lambda event: event["event"] == "rejected")["reason"] == "duplicate"


def test_a_model_outside_the_run_is_refused(recorder):
    one = recorder()
    with IngestClient(one.address, sender="test") as client:
        fields = {"model_id": "x", "channel": 0, "accepted": True, "reason": "", "figures": {}}
        for path in ("../../elsewhere.onnx", "/etc/passwd", "models/../../x.onnx", "models/.hidden", 7):
            number = client.send("model", path=path, **fields)
            acks = []
            while not acks:
                acks = client.poll(timeout_s=1.0)
            assert (acks[0].number, acks[0].status) == (number, "rejected")
    with LedgerReader(one.run.ledger) as ledger:
        assert ledger.verdicts() == {}


def test_a_message_of_nonsense_is_refused_and_the_next_sender_is_served(recorder):
    one = recorder()
    address = one.address
    nonsense = [
        ("skip", {"keys": [], "reason": "nothing"}, None),
        ("skip", {"keys": [[10**30, 0, 0, 0]], "reason": "far"}, None),
        ("frame", {"kind": "raw", "key": [0, 0, 0, 0], "received_ns": float("inf")}, PIXELS),
        ("frame", {"kind": "raw", "key": [0, 0, 0, 0], "received_ns": 10**30}, PIXELS),
        ("series", {"series": {**WIRE_SERIES, "channels": 3}}, None),
    ]
    with IngestClient(address, sender="test") as client:
        client.send("series", series=WIRE_SERIES)
        sent = [client.send(kind, pixels=pixels, **fields) for kind, fields, pixels in nonsense]
        statuses: dict[int, str] = {}
        deadline = time.monotonic() + 20
        while not set(sent) <= set(statuses) and time.monotonic() < deadline:
            statuses |= {ack.number: ack.status for ack in client.poll(timeout_s=0.2)}
    assert [statuses.get(number) for number in sent] == ["rejected"] * len(nonsense)
    assert is_stored(address, 0, None)


@pytest.mark.parametrize("name", ["../x", "a/b", "..", "", "a\\b", "x" * 200])
def test_run_names_stay_inside_their_folder(name):
    with pytest.raises(SettingsError, match="name"):
        load_settings(overrides=[f"name={name}"])


def test_keys_command(tmp_path):
    folder = tmp_path / "keys"
    run = CliRunner().invoke
    assert run(app, ["keys", "new", str(folder)]).exit_code == 0
    assert run(app, ["keys", "add", str(folder), "carol"]).exit_code == 0
    listed = run(app, ["keys", "list", str(folder)]).output
    assert "carol" in listed
    assert "this-computer" in listed
    assert set(allowed_clients(folder).values()) == {"carol", "this-computer"}
    if os.name != "nt":
        for path in folder.rglob("*.key_secret"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert isinstance(run(app, ["keys", "new", str(folder)]).exception, SettingsError)
    assert isinstance(run(app, ["keys", "list", str(tmp_path / "other")]).exception, SettingsError)
    for name in ("carol", "../x"):
        assert isinstance(run(app, ["keys", "add", str(folder), name]).exception, SettingsError)
    secrets = [path.read_text() for path in folder.rglob("*.key_secret")]
    assert len(set(secrets)) == 3
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        use_client_keys(socket, folder / "for-carol")
        socket.linger = 0


def test_a_message_is_never_larger_than_what_it_says():
    parts = encode_message({"type": "frame"}, PIXELS)
    assert len(parts[2]) == PIXELS.nbytes
