"""Who may look at a run: foreign names, foreign pages, and people without the token are refused."""

import asyncio

import pytest

from quietscope.adapters.viewer.access import Access

TOKEN = "correct-token"  # noqa: S105 - of this test only


def ask(guard, *, kind="http", path="/", query="", **headers):
    """Status of the answer (0 for an accepted WebSocket, its close code otherwise) and the answer's headers."""
    sent = []

    async def app(scope, receive, send):
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"image"})
        else:
            await send({"type": "websocket.accept"})

    async def receive():
        return {"type": f"{kind}.connect" if kind == "websocket" else "http.request"}

    async def send(message):
        sent.append(message)

    scope = {
        "type": kind,
        "method": "GET",
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
    }
    asyncio.run(guard(app)(scope, receive, send))
    first = sent[0]
    answered = {name.decode(): value.decode() for name, value in first.get("headers", [])}
    return first.get("status", first.get("code", 0)), answered


def local(app):
    return Access(app, host="127.0.0.1", port=80, token=None)


def open_to_others(app):
    return Access(app, host="0.0.0.0", port=80, token=TOKEN)  # noqa: S104 - nothing is bound


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:80", 200),
        ("localhost:80", 200),
        ("[::1]:80", 200),
        ("evil.example:80", 403),
        ("192.168.1.7:80", 403),
        ("localhost.evil.example", 403),
        ("[broken", 403),
        ("", 403),
    ],
)
def test_only_names_of_this_computer_are_answered(host, status):
    assert ask(local, host=host)[0] == status


@pytest.mark.parametrize(
    ("origin", "code"),
    [
        ("http://127.0.0.1:80", 0),
        ("http://evil.example", 1008),
        ("http://127.0.0.1:81", 1008),
        ("null", 1008),
        (None, 1008),
    ],
)
def test_a_websocket_must_come_from_the_own_page(origin, code):
    headers = {} if origin is None else {"origin": origin}
    assert ask(local, kind="websocket", path="/live", host="127.0.0.1:80", **headers)[0] == code


def test_a_foreign_page_cannot_fetch_either():
    assert ask(local, host="127.0.0.1:80", origin="http://evil.example")[0] == 403


def test_other_computers_need_the_token_once_and_then_carry_a_cookie_no_script_can_read():
    host = "192.168.1.7:80"
    assert ask(open_to_others, host=host)[0] == 403
    assert ask(open_to_others, host=host, query="token=wrong")[0] == 403
    assert ask(open_to_others, host=host, query="token=%C3%A9")[0] == 403
    status, headers = ask(open_to_others, host=host, query=f"token={TOKEN}")
    assert (status, headers["location"]) == (303, "/")
    cookie = headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    carried = headers["set-cookie"].partition(";")[0]
    assert ask(open_to_others, host=host, cookie=carried)[0] == 200
    assert ask(open_to_others, host=host, cookie="quietscope-80=wrong")[0] == 403
    own = {"host": host, "origin": f"http://{host}"}
    assert ask(open_to_others, kind="websocket", path="/live", **own)[0] == 1008
    assert ask(open_to_others, kind="websocket", path="/live", cookie=carried, **own)[0] == 0


def test_even_the_token_does_not_help_a_foreign_name():
    assert ask(open_to_others, host="evil.example", query=f"token={TOKEN}")[0] == 403


def test_every_answer_forbids_the_page_to_call_others():
    _, headers = ask(local, host="127.0.0.1:80")
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy
