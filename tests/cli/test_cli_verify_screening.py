"""`cordon verify` on saved answers of a node, and `cordon mirror` of a running one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from app.domain.identifiers import bucket_of, id_key
from app.sdk.client import Client, Options
from app.sdk.screened import open_receipt
from app.sdk.verify import read_roots
from app.seal.screened import sign_screening
from app.services.enroll import node_key, read_node_file
from tests.cli.program import cordon, running

pytestmark = pytest.mark.slow

LISTED = "tron:0x2b6653dc:TMVQGm1qAQYVdetCeGRRkTWYYrLXuHK2HC"
FREE = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"


def test_saved_answers_are_checked_and_a_lie_is_named(node_dir: Path, tmp_path: Path) -> None:
    """Answer, kept receipt and bucket verify side by side; a changed word, a changed byte and a signed lie are each told apart."""
    key = cordon("client", "create", "--class", "vasp", "--member", "zz.exchange", "--data-dir", node_dir, "--json").json["key"]
    with running(node_dir) as node, Client(node.url, Options(api_key=key)) as client:
        answer = client.screen_many([{"address": LISTED}, {"address": FREE}], receipt=True)
        kept = client.receipt(str(answer["receipt_id"]))
        bucket = client.view_bucket("green", bucket_of(id_key(LISTED)))
        first = cordon("mirror", tmp_path / "copy", "--api-key", key, "--data-dir", node_dir, "--json")
        again = cordon("mirror", tmp_path / "copy", "--api-key", key, "--data-dir", node_dir, "--json")
        refused = cordon("mirror", tmp_path / "copy", "--data-dir", node_dir)
        problem = httpx.get(f"{node.url}/v1/receipts/none", headers={"Authorization": f"Bearer {key}"})
    assert (first.code, first.json["whole"], again.json["whole"], again.json["added"]) == (0, True, False, 0)
    assert first.json["added"] > 10
    assert refused.code == 1
    files = {name: tmp_path / f"{name}.json" for name in ("answer", "kept", "bucket", "lie", "changed", "broken", "problem")}
    files["answer"].write_text(json.dumps(answer), "utf-8")
    files["kept"].write_text(json.dumps(kept), "utf-8")
    files["bucket"].write_bytes(bucket)
    good = cordon("verify", files["answer"], files["kept"], files["bucket"], "--data-dir", node_dir, "--json")
    assert good.code == 0, good.out
    assert [one["kind"] for one in good.json] == ["screening", "screening", "bucket"]
    assert (good.json[0]["opened"], good.json[1]["opened"]) == (2, 0)
    root = read_roots(node_dir / "root", now=0)
    honest = open_receipt(str(answer["receipt"]), root)
    signer = node_key(node_dir, read_node_file(node_dir), root)
    lie = sign_screening(replace(honest, matches=("not_listed", "not_listed"), hits=()), signer)
    results = answer["results"]
    assert isinstance(results, list)
    assert isinstance(results[0], dict)
    told = [{**results[0], "match": "not_listed"}, results[1]]
    files["lie"].write_text(json.dumps({**answer, "receipt": lie, "results": told}), "utf-8")
    files["changed"].write_text(json.dumps({**answer, "results": told}), "utf-8")
    files["broken"].write_bytes(bucket.replace(b'"green"', b'"clear"'))
    assert "another word than its receipt" in cordon("verify", files["changed"], "--data-dir", node_dir).out
    assert cordon("verify", files["broken"], "--data-dir", node_dir).code == 1
    files["problem"].write_bytes(problem.content)
    told_no = cordon("verify", files["problem"], "--data-dir", node_dir, "--json")
    assert (problem.status_code, told_no.code) == (404, 1)
    for part in ("is a refusal", "Not found (`not_found`, 404)", problem.json()["detail"], "Ask again"):
        assert part in told_no.json["error"]["detail"]
    alone = cordon("verify", files["lie"], "--data-dir", node_dir)
    assert alone.code == 0
    caught = cordon("verify", files["lie"], files["bucket"], "--data-dir", node_dir)
    assert caught.code == 1
    assert "FRAUD" in caught.out
    assert LISTED in caught.out
