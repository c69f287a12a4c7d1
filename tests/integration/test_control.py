"""The control wire: who is heard, what is refused, and what the daemon decides by itself."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import zmq

from quietscope.adapters.control import LONGEST, PROTOCOL, Answer, ControlClient
from quietscope.adapters.control_server import ControlServer
from quietscope.adapters.keyring import add_client, make_keys
from quietscope.config import RunError, WireError, WireTimeoutError
from quietscope.config.science import DriftSettings
from quietscope.config.system import ControlSettings
from quietscope.daemon.retraining import Retraining, Task


class Daemon:
    """A server that does what it is asked at once."""

    def __init__(self, keys=None, endpoint="tcp://127.0.0.1:0", *, answers=True) -> None:
        self.requests, self.complaints = [], []
        self._answers = answers
        self.server = ControlServer(
            ControlSettings(endpoint=endpoint),
            keys=keys,
            on_request=self._hear,
            on_rejected=self.complaints.append,
        )
        self.endpoint = self.server.endpoint.replace("//0.0.0.0:", "//127.0.0.1:")

    def _hear(self, number, request):
        self.requests.append(request)
        if self._answers:
            self.server.answer(number, Answer(ok=True, text="done", status={"phase": "recording"}))


@pytest.fixture
def daemon():
    made = []

    def make(*arguments, **options):
        made.append(Daemon(*arguments, **options))
        return made[-1]

    yield make
    for one in made:
        one.server.close()


def say(endpoint, *parts, wait_s=5.0):
    """Send parts as a stranger would; the answer, or None if there is none."""
    with zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.connect(endpoint)
        socket.send_multipart(parts)
        if not socket.poll(round(1000 * wait_s)):
            return None
        protocol, text = socket.recv_multipart()
        assert protocol == PROTOCOL.encode()
        return json.loads(text)


def test_a_request_is_passed_on_and_answered(daemon):
    one = daemon()
    answer = ControlClient(one.endpoint).ask("retrain", channel="er", method="fm2s")
    assert (answer.ok, answer.text, answer.status) == (True, "done", {"phase": "recording"})
    assert one.requests[0].model_dump() == {"command": "retrain", "channel": "er", "method": "fm2s"}
    assert say(one.endpoint, PROTOCOL.encode(), b'{"command": "pause"}')["ok"]
    assert one.requests[1].command == "pause"


def test_the_caller_of_the_documentation_works(daemon):
    text = (Path(__file__).resolve().parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
    example = text.split("### A caller in a few lines")[1].split("```python\n")[1].split("```")[0]
    one = daemon()
    command = [sys.executable, "-W", "error", "-c", example, one.endpoint]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
    assert [(request.command, request.channel) for request in one.requests] == [("retrain", "GFP")]


WRONG = {
    "unknown command": b'{"command": "shutdown"}',
    "unknown method": b'{"command": "retrain", "method": "magic"}',
    "unknown field": b'{"command": "status", "path": "/etc/passwd"}',
    "channel of another command": b'{"command": "pause", "channel": 0}',
    "negative channel": b'{"command": "retrain", "channel": -1}',
    "truth for a number": b'{"command": "retrain", "channel": true}',
    "no object": b"[1, 2]",
    "no JSON": b"\xff\xfe",
    "deeply nested": b"[" * 4000,
    "too long": json.dumps({"command": "status", "x": "y" * LONGEST}).encode(),
}


def test_what_is_no_request_is_refused_with_words_and_counted_and_the_next_is_served(daemon):
    one = daemon()
    for what, text in WRONG.items():
        answer = say(one.endpoint, PROTOCOL.encode(), text)
        assert answer is not None, what
        assert not answer["ok"], what
        assert answer["text"].startswith("refused: "), what
    for parts in ((b"quietscope/9", b"{}"), (PROTOCOL.encode(),), (b"", b"", b"", b"")):
        assert not say(one.endpoint, *parts)["ok"]
    assert say(one.endpoint, PROTOCOL.encode(), bytes(1_000_000), wait_s=0.3) is None, "cut off"
    assert one.server.rejected == len(one.complaints) == len(WRONG) + 3
    assert one.requests == []
    assert ControlClient(one.endpoint).ask("status").ok


def test_a_client_says_what_is_wrong_with_its_own_request(daemon):
    one = daemon(answers=False)
    with pytest.raises(WireError, match="belong to the command 'retrain'"):
        ControlClient(one.endpoint).ask("pause", channel=0)
    with pytest.raises(WireTimeoutError, match="is the run going on"):
        ControlClient(one.endpoint, timeout=0.2).ask("status")
    assert [request.command for request in one.requests] == ["status"]


def test_callers_who_never_wait_for_their_answer_cost_nothing(daemon):
    one = daemon(answers=False)
    for _ in range(70):
        say(one.endpoint, PROTOCOL.encode(), b'{"command": "status"}', wait_s=0.0)
    one.server.answer(1, Answer(ok=True, text="too late"))
    assert say(one.endpoint, PROTOCOL.encode(), b"{}")["ok"] is False


def test_only_listed_keys_may_ask(tmp_path, daemon):
    keys, others = tmp_path / "keys", tmp_path / "others"
    make_keys(keys)
    make_keys(others)
    alice = add_client(keys, "alice")
    (others / "server.key").write_bytes((keys / "server.key").read_bytes())
    one = daemon(keys, "tcp://0.0.0.0:0")
    for whose in (keys, alice):
        assert ControlClient(one.endpoint, keys=whose).ask("status").ok
    for whose in (others, None):
        with pytest.raises(WireTimeoutError, match="keys"):
            ControlClient(one.endpoint, keys=whose, timeout=0.5).ask("status")
    assert len(one.requests) == 2
    assert one.server.refused >= 2


def test_without_keys_only_this_computer_can_ask(daemon):
    with pytest.raises(WireError, match="quietscope keys new"):
        daemon(endpoint="tcp://0.0.0.0:0")


class Bench:
    """Training again, without a process: what is begun and what is said."""

    def __init__(self, **settings) -> None:
        self.begun, self.said = [], []
        self.retraining = Retraining(
            DriftSettings(**settings), begin=self.begun.append, record=lambda *words: self.said.append(words)
        )

    def drift(self, channel=0, model="m"):
        task = Task(channel, f"channel {channel}", "adaptive-sn2n", fresh=True)
        self.retraining.on_drift(task, model, "the light is less", "quietscope control RUN retrain")


def test_drift_is_offered_once_for_each_model_with_the_command():
    bench = Bench(retrain="offer")
    for _ in range(3):
        bench.drift()
    assert bench.begun == []
    assert len(bench.said) == 1
    assert "quietscope control RUN retrain" in bench.said[0][1]
    bench.drift(model="the next one")
    assert len(bench.said) == 2


def test_drift_trains_again_by_itself_apart_in_time_and_not_for_ever():
    bench = Bench(retrain="auto", most=2, apart_s=0.0)
    for _ in range(5):
        bench.drift()
        if bench.retraining.now is not None:
            bench.retraining.on_exit(0, "")
    assert len(bench.begun) == 2
    assert "is no more (drift.most = 2)" in bench.said[-1][1]
    assert len(bench.said) == 3, "that it was enough is said once"
    seldom = Bench(retrain="auto", apart_s=3600.0)
    for _ in range(5):
        seldom.drift()
        if seldom.retraining.now is not None:
            seldom.retraining.on_exit(0, "")
    assert len(seldom.begun) == 1


def test_channels_are_trained_one_after_the_other_and_a_failure_lets_the_next_begin():
    bench = Bench()
    first, second = (Task(c, f"channel {c}", "fm2s") for c in (0, 1))
    bench.retraining.ask(first)
    bench.retraining.ask(second)
    with pytest.raises(RunError, match="being trained again already"):
        bench.retraining.ask(second)
    assert bench.begun == [first]
    bench.retraining.on_exit(-9, ": killed")
    assert bench.begun == [first, second]
    assert "nothing else has changed" in bench.said[0][1]
    bench.retraining.stop()
    assert "broken off" in bench.said[1][1]
    assert bench.retraining.figures == {"retraining": None, "waiting_to_train": []}
