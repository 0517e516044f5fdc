"""The client's manners: bounded, direct, patient where it is asked to be, and our errors for a node's problems."""

from __future__ import annotations

import json
import time

import pytest

from app.domain.errors import BadRequest, LogFrozen, Malformed, NotFound, Quota, Refused, Schema, Unauthenticated, Unavailable
from app.sdk.client import AsyncClient, Client, Options
from tests.sdk.server import Reply, serving
from tests.waiting import lived_s

JSON = {"Content-Type": "application/json"}
PROBLEM = {"Content-Type": "application/problem+json"}


def said(status: int, body: object, **headers: str) -> Reply:
    kind = JSON if status < 400 else PROBLEM
    return status, {**kind, **{name.replace("_", "-"): value for name, value in headers.items()}}, json.dumps(body).encode()


def problem(code: str, status: int, **more: object) -> dict[str, object]:
    return {"type": f"/problems/{code}", "title": code, "status": status, "code": code, "detail": f"it is {code}", **more}


def test_a_problem_becomes_the_error_of_its_code():
    """`code` of a problem document picks the class; pointers come along."""
    body = problem("schema", 422, errors=[{"pointer": "/parts/core/0/id", "code": "checksum"}])
    with serving(lambda *_: said(422, body)) as told, Client(told.url) as client, pytest.raises(Schema) as caught:
        client.submit("x.y.z~")
    assert caught.value.detail == "it is schema"
    assert [(fault.pointer, fault.code) for fault in caught.value.faults] == [("/parts/core/0/id", "checksum")]


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "unauthenticated", Unauthenticated),
        (404, "not_found", NotFound),
        (409, "of_tomorrow", Refused),
        (500, "of_tomorrow", Unavailable),
    ],
)
def test_codes_known_and_unknown(status: int, code: str, kind: type[Exception]):
    """A code of a newer node is still refused or unavailable, by its status."""
    with serving(lambda *_: said(status, problem(code, status))) as told, Client(told.url) as client, pytest.raises(kind):
        client.statement("A" * 43)


def test_a_redirect_is_not_followed():
    """A node that sends the client elsewhere is refused, and nobody else is asked."""
    with serving(lambda *_: (307, {"Location": "/elsewhere"}, b"")) as told, Client(told.url) as client:
        with pytest.raises(Refused, match="redirect"):
            client.well_known()
        assert [path for _, path, _, _ in told.requests] == ["/.well-known/cordon-node"]


def test_a_proxy_of_the_environment_is_ignored(monkeypatch: pytest.MonkeyPatch):
    """Whoever sets http_proxy does not get to see what is screened."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with serving(lambda *_: said(200, {"result": {}})) as told, Client(told.url) as client:
        client.screen_one("TMVQGm1qAQYVdetCeGRRkTWYYrLXuHK2HC")
        assert len(told.requests) == 1


def test_retry_after_is_obeyed_once_it_may_be():
    """429 with Retry-After is waited out and asked again, the same bytes."""
    answers = {1: said(429, problem("quota", 429), Retry_After="1")}
    with serving(lambda _, n: answers.get(n, said(201, {"sid": "s", "status": "accepted"}))) as told, Client(told.url) as client:
        begun = time.monotonic()
        assert client.submit("x.y.z~").status == "accepted"
        assert time.monotonic() - begun >= 1
        assert told.requests[0][3] == told.requests[1][3] == b"x.y.z~"


def test_retry_after_beyond_the_cap_is_an_error_at_once():
    """The client does not sleep for an hour because a node says so; the error keeps the figure."""
    with (
        serving(lambda *_: said(429, problem("quota", 429), Retry_After="3600")) as told,
        Client(told.url, Options(max_wait_s=5)) as client,
    ):
        begun = lived_s()
        with pytest.raises(Quota) as caught:
            client.submit("x.y.z~")
        assert lived_s() - begun < 3
        assert caught.value.retry_after_s == 3600


def test_a_frozen_log_is_not_waited_for():
    """`log_frozen` waits for a human: no retry whatever Retry-After says."""
    with serving(lambda *_: said(503, problem("log_frozen", 503), Retry_After="1")) as told, Client(told.url) as client:
        with pytest.raises(LogFrozen):
            client.submit("x.y.z~")
        assert len(told.requests) == 1


def test_nobody_there_is_unavailable_and_says_what_to_do():
    """A refused connection is exit 3 for a command, with the address in the text."""
    with serving(lambda *_: said(200, {})) as told:
        url = told.url
    with Client(url) as client, pytest.raises(Unavailable, match="cordon serve"):
        client.well_known()


def test_a_node_that_says_nothing_is_given_up():
    """Every call has a time limit."""

    def slow(_path: str, _n: int) -> Reply:
        time.sleep(1.5)
        return said(200, {})

    with serving(slow) as told, Client(told.url, Options(timeout_s=0.3)) as client, pytest.raises(Unavailable, match="in time"):
        client.well_known()


@pytest.mark.parametrize("url", ["ftp://x", "127.0.0.1:8000", "http://user:secret@127.0.0.1"])
def test_an_address_that_is_none_is_refused(url: str):
    """Only http(s) without user names: a password in an address ends up in logs."""
    with pytest.raises(BadRequest):
        Client(url)


def test_a_batch_is_cut_and_answered_row_by_row():
    """More than 500 statements go in several requests; each row has its own outcome, in order."""

    def rows(_path: str, n: int) -> Reply:
        count = len(told.requests[n - 1][3].split(b"\n"))
        lines = [
            {"row": 1, "sid": f"{n}-{i}", "status": "accepted", "index": i, "accepted_ms": 1, "receipt": "r"} for i in range(count - 1)
        ]
        lines.append({"row": count, "error": problem("bad_signature", 401)})
        return 200, {"Content-Type": "application/x-ndjson"}, "\n".join(json.dumps(line) for line in lines).encode()

    with serving(rows) as told, Client(told.url) as client:
        outcomes = list(client.submit_many([f"{n}.b.c~" for n in range(1100)]))
        assert [len(body.split(b"\n")) for _, _, _, body in told.requests] == [500, 500, 100]
    assert len(outcomes) == 1100
    assert [type(one).__name__ for one in outcomes[498:501]] == ["Submitted", "BadSignature", "Submitted"]


def test_a_batch_answer_with_missing_rows_is_not_believed():
    """Fewer rows than statements: the client does not guess which one is missing."""
    with (
        serving(lambda *_: said(200, {"row": 1, "sid": "s", "status": "accepted"})) as told,
        Client(told.url) as client,
        pytest.raises(Malformed),
    ):
        list(client.submit_many(["a.b.c~", "d.e.f~"]))


def test_pages_are_followed_on_the_node_alone():
    """`next` is followed while it is a path of the node; a whole address is refused."""

    def paged(path: str, _n: int) -> Reply:
        return said(200, {"items": [{"sid": path[-1]}], "next": "/v1/statements?cursor=2" if "cursor" not in path else None})

    with serving(paged) as told, Client(told.url) as client:
        assert len(list(client.statements(issuer="zz.police"))) == 2
    with (
        serving(lambda *_: said(200, {"items": [], "next": "http://elsewhere.example/v1/x"})) as told,
        Client(told.url) as client,
        pytest.raises(Malformed),
    ):
        list(client.statements())


def test_an_id_that_is_no_segment_goes_into_the_query():
    """URLs and handles are asked as ?id=, everything else as one path segment (schemas §3)."""
    with serving(lambda *_: said(200, {})) as told, Client(told.url) as client:
        client.screen_one("https://x.example/a?b=c")
        client.screen_one("tron:0x2b6653dc:TMVQGm1qAQYVdetCeGRRkTWYYrLXuHK2HC", tag="7")
        paths = [path for _, path, _, _ in told.requests]
    assert paths[0].startswith("/v1/screen?id=https")
    assert paths[1] == "/v1/screen/tron:0x2b6653dc:TMVQGm1qAQYVdetCeGRRkTWYYrLXuHK2HC?tag=7"


def test_what_a_caller_says_of_himself_goes_along():
    """API key, purpose and case are headers of every request."""
    options = Options(api_key="cordon_live_x", purpose="supervision", case="A-1")
    with serving(lambda *_: said(200, {"results": []})) as told, Client(told.url, options) as client:
        client.screen_many([{"address": "x"}])
        headers = told.requests[0][2]
    assert (headers["authorization"], headers["cordon-purpose"], headers["cordon-case"]) == ("Bearer cordon_live_x", "supervision", "A-1")


async def test_the_awaited_client_keeps_the_same_manners():
    """Screening and submission for services: same errors, same patience."""
    answers = {1: said(503, problem("unavailable", 503), Retry_After="1"), 3: said(422, problem("schema", 422))}
    with serving(lambda _, n: answers.get(n, said(200, {"result": {"match": "listed"}}))) as told:
        async with AsyncClient(told.url) as client:
            assert await client.screen_one("x") == {"result": {"match": "listed"}}
            with pytest.raises(Schema):
                await client.submit("x.y.z~")
            assert (await client.screen_many([{"address": "x"}]))["result"] == {"match": "listed"}
