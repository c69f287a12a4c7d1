"""The viewer as people see it: the real command, a real publisher, a real browser."""

import io
import json
import re
import time
from urllib.parse import urlsplit

import numpy as np
import pytest
from chromium import Chromium, find_chromium
from PIL import Image
from run_folder import LOWEST, LivePublisher, ViewCommand, make_run, plane

from quietscope.adapters.control import Answer
from quietscope.adapters.control_server import ControlServer
from quietscope.config.system import ControlSettings

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        find_chromium() is None, reason="no Chromium found; install it or set QUIETSCOPE_CHROMIUM"
    ),
]


def set_limits(browser, low, high):
    browser.evaluate(
        "(() => { const [low, high] = document.querySelectorAll('.limits input');"
        f"low.value = '{low}'; high.value = '{high}'; high.dispatchEvent(new Event('change')); }})()"
    )


def point_at(browser, x, y):
    """Put the mouse there; place in the image and the values shown."""
    # the page hears of a move some time after it was sent
    browser.evaluate(
        "window.mouseAt ??= (addEventListener('pointermove', e => { window.mouseAt = `${e.clientX} ${e.clientY}`; },"
        " true), 'nowhere')"
    )
    browser.mouse("mouseMoved", x, y)
    browser.wait(f"window.mouseAt === '{x} {y}'")
    text = browser.wait(
        "document.querySelector('#readout').hidden ? '' : document.querySelector('#readout').innerText"
    )
    place = re.match(r"x (\d+) y (\d+)", text)
    assert place is not None, text
    values = browser.evaluate(
        "Object.fromEntries([...document.querySelectorAll('#readout [data-value]')]"
        ".map(e => [e.dataset.value, e.innerText]))"
    )
    return int(place[1]), int(place[2]), {name: int(re.sub(r"\s", "", v)) for name, v in values.items()}


def stage_pixels(browser):
    return np.asarray(Image.open(io.BytesIO(browser.screenshot())).convert("RGB"))


@pytest.fixture
def closing():
    things = []
    yield lambda thing: things.append(thing) or thing
    for thing in reversed(things):
        thing.close()


@pytest.mark.parametrize("side", [1024, 2048])
def test_the_pixels_on_the_screen_change_and_equal_the_published_frame(side, tmp_path, closing):
    root = make_run(tmp_path / "run", side=side, frames=1)
    publisher = closing(LivePublisher(root, side=side))
    view = closing(ViewCommand(root))
    browser = closing(Chromium(1280, 800))
    browser.open(view.url)
    seen = []
    browser.wait("document.querySelector('#image').dataset.shown === '0/0/raw'")
    for _ in range(3):
        browser.press("v")
    browser.press("0")
    set_limits(browser, LOWEST, LOWEST + 255)
    for t in (5, 6):
        publisher.publish(t, t + 1)
        browser.wait(f"document.querySelector('#image').dataset.shown === '{t}/0/denoised'")
        # A picture of 8 MB may come averaged first, on a busy computer.
        browser.wait("!document.querySelector('#caption-denoised').innerText.includes('averaged')")
        frame = plane("denoised", t, 0, side)
        for point in ((300, 250), (633, 411), (801, 640)):
            x, y, values = point_at(browser, *point)
            assert values == {"denoised/0": frame[y, x]}
        dx, dy = x - 801, y - 640
        expected = frame[140 + dy : 660 + dy, 20 + dx : 940 + dx] - LOWEST
        shown = stage_pixels(browser)[140:660, 20:940]
        np.testing.assert_array_equal(shown[..., 0], expected)
        np.testing.assert_array_equal(shown[..., 1], shown[..., 0])
        np.testing.assert_array_equal(shown[..., 2], shown[..., 0])
        seen.append(shown)
    assert (seen[0] != seen[1]).mean() > 0.9
    assert browser.complaints == []


def test_recorded_frames_contrast_layouts_and_saving(tmp_path, closing):
    root = make_run(tmp_path / "run", side=64, frames=4, channels=("actin", "<nuclei>"))
    view = closing(ViewCommand(root))
    browser = closing(Chromium(1280, 800))
    browser.open(view.url)
    browser.wait("document.querySelector('#now').innerText === 't 3'")
    assert browser.wait("document.querySelector('#state').innerText") == "Recorded"
    assert browser.wait("document.querySelector('#caption-denoised').innerText") == "Not denoised yet"
    assert browser.evaluate("document.querySelector('#scalebar').innerText.trim()") == "2 µm"
    assert "a <b>word</b>" in browser.evaluate("document.querySelector('#events').innerText")
    names = browser.evaluate("[...document.querySelectorAll('.channel .name')].map(e => e.innerText)")
    assert names == ["actin", "<nuclei>"]

    for _ in range(2):
        browser.press("ArrowLeft")
    both = "1/0/raw+denoised 1/1/raw+denoised"
    browser.wait(f"document.querySelector('#image').dataset.shown === '{both}'")
    assert browser.evaluate("document.querySelector('#caption-denoised').innerText") == "Denoised"
    for side_x in (150, 700):
        x, y, values = point_at(browser, side_x, 400)
        expected = {
            f"{kind}/{c}": plane(kind, 1, c, 64)[y, x] for kind in ("raw", "denoised") for c in (0, 1)
        }
        assert values == expected

    browser.press("2")
    browser.wait("!document.querySelector('#readout [data-value=\"raw/1\"]')")
    before = stage_pixels(browser)
    set_limits(browser, 1200, 1255)
    browser.wait("document.querySelector('.chip.auto').getAttribute('aria-pressed') === 'false'")
    browser.wait("new Promise(r => requestAnimationFrame(() => requestAnimationFrame(() => r(true))))")
    after = stage_pixels(browser)
    assert after[200:600, 50:400].mean() < before[200:600, 50:400].mean() - 20
    browser.press("a")
    browser.wait("document.querySelector('.chip.auto').getAttribute('aria-pressed') === 'true'")

    browser.press("p")
    png = saved_image(browser, "run_t1.png")
    assert png.size == (964, 700)
    choose_film(browser, 0)
    gif = saved_image(browser, "run.gif")
    assert gif.n_frames == 4
    choose_film(browser, 1)
    video = wait_for_file(browser, "run.mp4", "run.webm")
    assert browser.complaints == []
    browser.open(video.as_uri())
    size = browser.wait(
        "(v => v.readyState >= 2 && [v.videoWidth, v.videoHeight])(document.querySelector('video'))"
    )
    assert size == [gif.width & ~1, gif.height & ~1]


def choose_film(browser, number):
    browser.press("m")
    browser.evaluate(f"document.querySelectorAll('.choices button')[{number}].click()")


def saved_image(browser, name):
    return Image.open(io.BytesIO(wait_for_file(browser, name).read_bytes()))


def wait_for_file(browser, *names):
    """Wait until one of the files has been saved; its path."""
    deadline = time.monotonic() + 30
    while not (found := [path for name in names if (path := browser.downloads / name).exists()]):
        assert time.monotonic() < deadline, f"{names} was not saved"
        time.sleep(0.05)
    return found[0]


def test_a_page_left_at_an_earlier_time_stays_there_and_follows_again_when_asked(tmp_path, closing):
    root = make_run(tmp_path / "run", side=64, frames=3)
    publisher = closing(LivePublisher(root, side=64))
    view = closing(ViewCommand(root))
    browser = closing(Chromium(900, 600))
    browser.open(view.url)
    browser.wait("document.querySelector('#state').innerText === 'Live'")
    publisher.publish(10, 11)
    browser.wait("document.querySelector('#image').dataset.shown === '10/0/raw+denoised'")
    browser.evaluate(
        "(() => { const t = document.querySelector('#time'); t.value = 1; t.dispatchEvent(new Event('input')); })()"
    )
    browser.wait("document.querySelector('#image').dataset.shown === '1/0/raw+denoised'")
    publisher.publish(11, 13, pause_s=0.3)
    assert browser.evaluate("document.querySelector('#image').dataset.shown") == "1/0/raw+denoised"
    browser.evaluate("document.querySelector('#follow').click()")
    browser.wait("document.querySelector('#image').dataset.shown === '12/0/raw+denoised'")


def test_after_a_lost_connection_the_page_goes_on_and_tells_nothing_twice(tmp_path, closing):
    root = make_run(tmp_path / "run", side=64, frames=2)
    view = closing(ViewCommand(root))
    browser = closing(Chromium(900, 600))
    browser.open(view.url)
    browser.wait("document.querySelectorAll('#events li').length === 1")
    view.close()
    browser.wait("document.querySelector('#state').innerText.startsWith('No connection')")
    closing(ViewCommand(root, "--port", str(urlsplit(view.url).port)))
    browser.wait("document.querySelector('#state').innerText === 'Recorded'")
    browser.press("ArrowLeft")
    browser.wait("document.querySelector('#image').dataset.shown === '0/0/raw+denoised'")
    assert browser.evaluate("document.querySelectorAll('#events li').length") == 1


def test_nothing_is_asked_of_any_other_computer(tmp_path, closing):
    root = make_run(tmp_path / "run", side=64, frames=2)
    view = closing(ViewCommand(root))
    browser = closing(Chromium(1280, 800))
    browser.open(view.url)
    browser.wait("document.querySelector('#image').dataset.shown")
    browser.evaluate("document.fonts.ready.then(() => true)")
    for key in "dvh?":
        browser.press(key)
    own = urlsplit(view.url).netloc
    asked = [url for url in browser.requests if not url.startswith(("data:", "blob:"))]
    assert len(asked) > 10
    assert {urlsplit(url).netloc for url in asked} == {own}
    assert browser.evaluate("document.fonts.check('13px Inter')")
    # What the page may not do even if it tried:
    refused = browser.evaluate("fetch('http://localhost:9/').then(() => 'asked', (error) => error.name)")
    assert refused == "TypeError"
    assert any("Content Security Policy" in words for words in browser.complaints)


def test_the_light_comes_live_and_doubtful_places_are_marked_when_asked(tmp_path, closing):
    side = 256
    root = make_run(tmp_path / "run", side=side, frames=1)
    publisher = closing(LivePublisher(root, side=side))
    view = closing(ViewCommand(root))
    browser = closing(Chromium(1280, 800))
    browser.open(view.url)
    browser.wait("document.querySelector('#image').dataset.shown")
    publisher.publish(1, 2, kinds=("raw", "denoised"))
    browser.wait("document.querySelector('#image').dataset.shown === '1/0/raw+denoised'")
    assert browser.evaluate("document.querySelector('#trust').hidden")
    publisher.publish(1, 2, kinds=("trust",))
    browser.wait("document.querySelector('#trust').innerText.includes('Doubtful places: doubt')")
    before = stage_pixels(browser).astype(int)
    browser.press("t")
    browser.wait("document.querySelector('#image').dataset.shown === '1/0/raw+denoised+trust'")
    marked = stage_pixels(browser).astype(int)
    assert "doubt" in browser.evaluate("document.querySelector('#caption-denoised').innerText")
    raw, denoised = (slice(300, 600), slice(20, 460)), (slice(300, 600), slice(500, 940))
    np.testing.assert_array_equal(marked[raw], before[raw])
    redder = marked[denoised][..., 0] - marked[denoised][..., 2]
    assert (before[denoised][..., 0] == before[denoised][..., 2]).all()  # grey
    assert 0.2 < (redder > 10).mean() < 0.6  # the map is random: a half is below half of the limit
    assert redder.min() == 0
    browser.press("t")
    browser.wait("document.querySelector('#image').dataset.shown === '1/0/raw+denoised'")
    np.testing.assert_array_equal(stage_pixels(browser)[denoised], before[denoised])
    assert not browser.complaints


def test_pictures_below_full_quality_say_so(tmp_path, closing):
    root = make_run(tmp_path / "run", side=64, frames=2)
    publisher = closing(LivePublisher(root, side=64))
    view = closing(ViewCommand(root))
    browser = closing(Chromium(1280, 800))
    browser.open(view.url)
    browser.wait("document.querySelector('#state').innerText === 'Live'")
    step = {
        "event": "quality",
        "from": "processor",
        "level": "warning",
        "text": "4 s late",
        "quality": "preview",
    }
    with (root / "log.jsonl").open("a", encoding="utf-8") as log:
        log.write(json.dumps({**step, "words": "simple previews"}) + "\n")
    browser.wait("document.querySelector('#state').innerText === 'Live, behind: simple previews'")
    for t, kinds, quality, caption in (
        (5, ("preview",), "preview", "Preview: simple filter, the computer is behind"),
        (6, ("preview",), "full", "Preview: simple filter, no model yet"),
        (7, ("raw", "denoised"), "larger-tiles", "Denoised: larger tiles, edges may show"),
        (8, ("raw",), "raw", "Not denoised yet: the computer is behind"),
        (9, ("raw", "denoised"), "full", "Denoised"),
    ):
        publisher.publish(t, t + 1, kinds=kinds, quality=quality)
        browser.wait(
            "[...document.querySelector('#caption-denoised').childNodes].map(e => e.textContent).join(': ')"
            f" === {json.dumps(caption)}"
        )
    assert browser.complaints == []


def test_buttons_pause_and_train_again_and_say_what_the_run_answers(tmp_path, closing):
    root = make_run(tmp_path / "run", side=64, frames=2, channels=("actin", "tubulin"))
    closing(LivePublisher(root, side=64, channels=("actin", "tubulin")))
    requests = []

    def hear(number, request):
        requests.append(request.model_dump(exclude_none=True))
        paused = request.command != "continue"
        with (root / "log.jsonl").open("a") as log:
            log.write(
                json.dumps({"time_ns": 1, "event": "denoising", "from": "processor", "paused": paused}) + "\n"
            )
        server.answer(
            number, Answer(ok=request.command != "retrain", text=f"the run has heard {request.command}")
        )

    server = closing(ControlServer(ControlSettings(), keys=None, on_request=hear, on_rejected=print))
    content = json.loads((root / "endpoints.json").read_text()) | {"control": server.endpoint}
    (root / "endpoints.json").write_text(json.dumps(content))
    view = closing(ViewCommand(root))
    browser = closing(Chromium(1280, 900))
    browser.open(view.url)
    part = "document.querySelector('#control [data-part=\"{}\"]')".format
    browser.wait(f"!document.querySelector('#control').hidden && {part('channel')}.options.length === 3")
    browser.evaluate(f"{part('pause')}.click()")
    browser.wait(f"{part('answer')}.innerText === 'The run has heard pause.'")
    browser.wait(f"{part('pause')}.innerText === 'Go on denoising'")
    assert browser.evaluate("document.querySelector('#state').innerText") == "Live, denoising is paused"
    assert "denoising is paused" in browser.evaluate("document.querySelector('#events').innerText")
    browser.evaluate(f"{part('channel')}.value = '1'; {part('method')}.value = 'poisson2void'")
    browser.evaluate(f"{part('retrain')}.click()")
    browser.wait(f"{part('answer')}.className === 'warning'")
    browser.evaluate(f"{part('pause')}.click()")
    browser.wait(f"{part('pause')}.innerText === 'Pause denoising'")
    assert requests == [
        {"command": "pause"},
        {"command": "retrain", "channel": 1, "method": "poisson2void"},
        {"command": "continue"},
    ]
    assert browser.complaints == []
