"""What each step of the gate costs by itself, in a loop over many statements: the account behind ADR 0012.

A step alone has code and tables at hand, so the sum is less than the whole; it says which part could go with which step.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

from app.domain.items import check_items
from app.domain.labels import Tlp
from app.domain.merkle import leaf_hash
from app.domain.registry import Mandate, Member, MemberClass, Policy
from app.domain.statement import TYP, Disclosure, Stub, read_stub
from app.seal.disclosure import read_disclosures, split_wire
from app.seal.jws import Token, open_tokens
from app.services.admit.rows import Logged, content_rows, event_of, statement_row
from app.services.enroll import default_kinds
from app.storage.statement_rows import as_row
from benchmarks.material import AGENCY, ORIGIN, Bench

ROUNDS = 7


def timed(work: Callable[[], object]) -> float:
    """Median CPU seconds of some runs."""
    taken = []
    for _ in range(ROUNDS):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return statistics.median(taken)


def account(bench: Bench, wires: Sequence[str]) -> dict[str, float]:
    """CPU seconds for all of these statements, by step."""
    public = bench.key.public
    mandate = Mandate(default_kinds(MemberClass.AGENCY), ("fraud",), Tlp.RED)
    member, policy = Member(AGENCY, "Benchmark agency", MemberClass.AGENCY, mandate, ()), Policy()
    split = [split_wire(wire) for wire in wires]
    jws = [one for one, _ in split]

    def open_all() -> list[Token]:
        return [one for one in open_tokens(jws, typ=TYP, find_key=lambda _: public) if isinstance(one, Token)]

    tokens = open_all()

    def stubs_of() -> list[Stub]:
        return [read_stub(one.claims, kid=one.kid, sid=one.sid) for one in tokens]

    stubs = stubs_of()

    def disclosed() -> list[tuple[Disclosure, ...]]:
        return [read_disclosures(stub, texts, home=True) for stub, (_, texts) in zip(stubs, split, strict=True)]

    said = disclosed()

    def judged() -> list[Logged]:
        pairs = zip(stubs, said, strict=True)
        items = [check_items(stub, disclosures, member=member, policy=policy) for stub, disclosures in pairs]
        events = [event_of(stub, ORIGIN, index) for index, stub in enumerate(stubs)]
        return [Logged(s, e, 1_790_000_000_000, d, i) for s, e, d, i in zip(stubs, events, said, items, strict=True)]

    logged = judged()

    def rows() -> None:
        for one in logged:
            as_row(statement_row(one))
            content_rows(one)

    def leaves() -> None:
        for one in jws:
            leaf_hash(f"1790000000000 {one}".encode())

    return {
        "signature, fence, claims": timed(open_all) + timed(leaves),
        "stub": timed(stubs_of),
        "disclosures": timed(lambda: [split_wire(wire) for wire in wires]) + timed(disclosed),
        "items": timed(judged),
        "rows put together": timed(rows),
    }
