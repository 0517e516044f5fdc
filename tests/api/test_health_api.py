"""Health and metrics."""

from __future__ import annotations

import httpx
from prometheus_client.parser import text_string_to_metric_families

from app.api import operations_app
from app.domain.errors import LogFrozen
from tests.api.front import Front, open_front, problem
from tests.factories import Town, wallet, wallet_id


async def test_a_healthy_node_says_so(both_fronts: Front) -> None:
    """200 on all three, without details; with `?verbose` for the operator alone."""
    front = both_fronts
    async with front.at() as client, front.at(await front.key("", "operator")) as operator, front.at(await front.key()) as vasp:
        for path in ("/livez", "/readyz", "/startupz"):
            answer = await client.get(path)
            assert (answer.status_code, answer.json()["status"]) == (200, "ok"), answer.text
        assert (await client.get("/readyz")).json()["checks"] == {"database": "ok", "log": "ok", "checkpoint": "ok", "disk": "ok"}
        assert "MiB free" in (await operator.get("/readyz?verbose")).json()["checks"]["disk"]
        assert problem(await client.get("/readyz?verbose")) == (401, "unauthenticated")
        assert problem(await vasp.get("/readyz?verbose=1")) == (403, "forbidden")
        assert problem(await client.get("/readyz?verbos")) == (422, "schema")


async def test_a_frozen_log_is_not_ready_while_lookups_go_on(front: Front) -> None:
    """503 from readyz, 200 from livez and startupz; screening answers, submissions are refused as log_frozen."""
    front.node.gate.freeze(LogFrozen("entry 3 does not hash to its leaf"))
    front.town.clock.advance(s=2)
    wire = front.town.signer("de.bka#1").listing(wallet(1))
    async with front.at() as client:
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()["checks"]["log"]) == (503, "frozen")
        assert "entry 3" not in answer.text
        assert (await client.get("/livez")).status_code == (await client.get("/startupz")).status_code == 200
        assert (await client.get(f"/v1/screen/{wallet_id(1)}")).status_code == 200
        refused = await client.post("/v1/statements", content=wire, headers={"Content-Type": "application/sd-jwt"})
        assert problem(refused) == (503, "log_frozen")
        assert refused.headers["retry-after"]


async def test_an_old_checkpoint_is_not_ready(front: Front) -> None:
    """Two intervals without a signature: somebody should look."""
    front.town.clock.advance(s=120)
    async with front.at() as client:
        answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["checkpoint"]) == (503, "old")


async def test_metrics_are_for_this_host_or_the_token(town: Town, sqlite_migrated_url: str) -> None:
    """Loopback without a proxy in between and by a name of the host, or the bearer; everybody else 401."""
    async with (
        open_front(town, sqlite_migrated_url, metrics_token="s3cret-token") as front,
        front.at() as near,
        front.at(peer="203.0.113.9") as far,
    ):
        assert (await near.get("/metrics")).status_code == 200
        assert problem(await far.get("/metrics")) == (401, "unauthenticated")
        for headers in ({"X-Forwarded-For": "127.0.0.1"}, {"Forwarded": "for=127.0.0.1"}, {"Host": "rebound.attacker.example"}):
            assert problem(await near.get("/metrics", headers=headers)) == (401, "unauthenticated"), headers
        assert problem(await far.get("/metrics", headers={"X-Forwarded-For": "127.0.0.1"})) == (401, "unauthenticated")
        assert (await far.get("/metrics", headers={"Authorization": "Bearer s3cret-token"})).status_code == 200
        assert problem(await far.get("/metrics", headers={"Authorization": "Bearer s3cret-tokem"})) == (401, "unauthenticated")


async def test_metrics_count_by_template_and_closed_lists(front: Front) -> None:
    """Requests by route template, lookups by result, submissions by outcome, and the state of the log; never an address."""
    async with front.at() as client:
        await client.get(f"/v1/screen/{wallet_id(1)}")
        await client.get("/v1/nothing-here")
        await client.request("BREW", "/v1/members")
        await client.post("/v1/statements", content="x", headers={"Content-Type": "application/sd-jwt"})
        text = (await client.get("/metrics")).text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    seconds = families["http_server_request_duration_seconds"]
    seen = {(s.labels["method"], s.labels["route"], s.labels["status"]) for s in seconds.samples if s.name.endswith("_count")}
    assert {
        ("GET", "/v1/screen/{address}", "200"),
        ("GET", "unmatched", "404"),
        ("_OTHER", "/v1/members", "405"),
        ("POST", "/v1/statements", "400"),
    } <= seen
    lookups = {(s.labels["result"], s.labels["client_class"]): s.value for s in families["cordon_lookups"].samples}
    assert lookups == {("not_listed", "public"): 1}
    assert {s.labels["outcome"]: s.value for s in families["cordon_submissions"].samples} == {"accepted": 6, "malformed": 1}
    assert families["cordon_log_entries"].samples[0].value == 6
    assert {"cordon_build_info", "cordon_log_last_checkpoint_timestamp_seconds", "cordon_queue_depth", "cordon_disk_free_bytes"} <= set(
        families
    )
    assert wallet_id(1).rpartition(":")[2] not in text


async def test_operations_can_have_a_port_of_their_own(town: Town, sqlite_migrated_url: str) -> None:
    """With OPERATIONS_BIND the main port serves no health and no metrics, and the other nothing else."""
    async with open_front(town, sqlite_migrated_url, operations_bind="127.0.0.1:9999") as front, front.at() as client:
        for path in ("/livez", "/readyz", "/startupz", "/metrics"):
            assert problem(await client.get(path)) == (404, "not_found")
        own = operations_app(front.app)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(own), base_url="http://127.0.0.1") as other:
            for path in ("/livez", "/readyz", "/startupz", "/metrics"):
                assert (await other.get(path)).status_code == 200, path
            assert problem(await other.get("/v1/members")) == (404, "not_found")
