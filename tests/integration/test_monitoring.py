"""Figures, health and alarms of a run."""

import http.client
import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from quietscope.config import RunError
from quietscope.daemon.alarm import QueueAlarm
from quietscope.daemon.metrics import Metrics
from quietscope.daemon.metrics_server import MetricsServer

ROOT = Path(__file__).resolve().parents[2]
LINE = re.compile(r'quietscope_\w+(\{\w+="(\\.|[^"\\])*"\})? -?[0-9.e+-]+')


def get(server: MetricsServer, path: str, host: str | None = None) -> tuple[int, str]:
    parts = urlsplit(server.address)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=5)
    try:
        connection.request("GET", path, headers={} if host is None else {"Host": host})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


@pytest.fixture
def running() -> Metrics:
    metrics = Metrics()
    for name in ("recorder", "processor", "trainer"):
        metrics.event({"event": "ready", "from": name})
    status = {"received": 7, "stored": 6, "spooled": 1, "disordered": 2, "refused": 3, "ring_mb": 1.5}
    rejected = {"shape": 4, 'a "strange" one\n': 1}
    metrics.event({"event": "status", "from": "recorder", **status, "rejected": rejected, "rss_mb": 12.0})
    metrics.event({"event": "status", "from": "processor", "denoised": 5, "pending": 1, "denoise_ms": 80.0})
    return metrics


def test_figures_and_health_are_served(running):
    with MetricsServer(running, 0) as server:
        status, text = get(server, "/metrics")
        assert status == 200
        for line in (
            "quietscope_frames_received_total 7",
            "quietscope_frames_stored_total 6",
            "quietscope_queue_bytes 1500000",
            "quietscope_denoise_seconds 0.08",
            'quietscope_frames_rejected_total{reason="shape"} 4',
            'quietscope_process_resident_bytes{process="recorder"} 12000000',
            'quietscope_process_up{process="trainer"} 1',
        ):
            assert line in text.splitlines()
        for line in text.splitlines():
            assert line.startswith("# ") or LINE.fullmatch(line), line
        assert get(server, "/healthz") == (200, '{"well": true, "wrong": []}')
        running.event({"event": "exit", "from": "processor", "status": -9})
        status, text = get(server, "/healthz")
        assert status == 503
        assert json.loads(text)["wrong"] == ["the processor has died"]
        running.event({"event": "ready", "from": "processor"})
        assert get(server, "/healthz")[0] == 200
        assert 'quietscope_process_restarts_total{process="processor"} 1' in get(server, "/metrics")[1]
        assert get(server, "/etc/passwd")[0] == 404
        assert get(server, "/metrics", host="evil.example:80")[0] == 403


def test_a_port_in_use_is_named(running):
    with (
        MetricsServer(running, 0) as server,
        pytest.raises(RunError, match=r"monitoring\.port"),
        MetricsServer(running, urlsplit(server.address).port),
    ):
        pass


def test_a_trainer_that_has_done_its_work_is_no_fault(running):
    running.event({"event": "exit", "from": "trainer", "status": 0})
    assert running.health() == []


def test_the_dashboard_asks_for_figures_that_there_are(running):
    dashboard = json.loads((ROOT / "docs" / "grafana-dashboard.json").read_text())
    asked = {
        name
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for name in re.findall(r"quietscope_\w+", target["expr"])
    }
    served = set(re.findall(r"^# TYPE (\w+)", running.render(), re.MULTILINE))
    assert asked == served
    page = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
    assert all(f"`{name.removeprefix('quietscope_')}" in page for name in served)


def test_alarms_come_once_at_75_and_at_100_percent_and_when_it_is_over():
    alarm = QueueAlarm()
    course = [
        (0.2, 0),
        (0.74, 0),
        (0.8, 0),
        (0.9, 0),
        (0.6, 0),
        (1.0, 0),
        (0.8, 3),
        (0.6, 3),
        (0.4, 3),
        (0.8, 3),
    ]
    said = []
    for share, spooled in course:
        if alarm.update(share, spooled) is not None:
            said.append(alarm.percent)
    assert said == [75, 100, 0, 75]
