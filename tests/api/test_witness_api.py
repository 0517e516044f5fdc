"""The witness over HTTP: bodies, answers and codes of C2SP tlog-witness."""

from __future__ import annotations

from app.domain.errors import Forbidden, InvalidProof, Malformed, NotFound, SizeConflict
from tests.api.front import problem
from tests.api.peers import Federating

LINE = "— fr.example/witness AAAA\n"
BODY = b"old 0\n\nnl.example/log\n1\nAAAA\n\n\xe2\x80\x94 nl.example/log AAAA\n"


async def test_a_log_gets_cosignatures_without_a_key(federating: Federating) -> None:
    """The body is handed on byte for byte; the answer is the signature lines as text."""
    federating.ear.answer = LINE
    answer = await federating.front.at().post("/witness/add-checkpoint", content=BODY)
    assert (answer.status_code, answer.text, answer.headers["content-type"]) == (200, LINE, "text/plain; charset=utf-8")
    assert federating.ear.heard == [("checkpoint", BODY)]
    assert (await federating.at().post("/witness/add-checkpoint", content=BODY)).status_code == 200


async def test_another_size_is_told_in_its_own_type(federating: Federating) -> None:
    """409 with the size alone, so that the log can send the proof from there."""
    federating.ear.answer = SizeConflict(4711)
    answer = await federating.front.at().post("/witness/add-checkpoint", content=BODY)
    assert (answer.status_code, answer.text) == (409, "4711\n")
    assert answer.headers["content-type"] == "text/x.tlog.size"


async def test_refusals_have_the_codes_of_the_specification(federating: Federating) -> None:
    """404 an unknown log, 403 not signed by it, 422 a proof that does not hold, 400 a body that is none."""
    for error, told in (
        (NotFound("x"), (404, "not_found")),
        (Forbidden("x"), (403, "forbidden")),
        (InvalidProof("x"), (422, "invalid_proof")),
        (Malformed("x"), (400, "malformed")),
    ):
        federating.ear.answer = error
        assert problem(await federating.front.at().post("/witness/add-checkpoint", content=BODY)) == told


async def test_bodies_are_bounded(federating: Federating) -> None:
    """Beyond 64 KiB nothing is read."""
    assert problem(await federating.front.at().post("/witness/add-checkpoint", content=b"a" * 70_000)) == (413, "too_large")
    assert federating.ear.heard == []
