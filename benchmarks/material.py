"""What the benchmarks work on: a jurisdiction of their own in a temporary directory, and signed statements made before the clock starts."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

from app.domain.canonical import JsonValue
from app.domain.labels import Tlp
from app.domain.registry import Mandate, Member, MemberClass
from app.main import build
from app.seal.disclosure import build_statement
from app.seal.jws import SigningKey
from app.services.admit import Admitted
from app.services.enroll import Founding, Registrar, default_kinds, found, founding_statements, member_key, read_key
from app.services.node import Node
from app.settings import Settings, load
from app.storage.upgrade import upgrade

NODE = "bench.example"
ORIGIN = f"{NODE}/log"
AGENCY = "zz.bench"


@dataclass(frozen=True, slots=True)
class Bench:
    """A founded jurisdiction with one agency that may list anything."""

    settings: Settings
    key: SigningKey
    now: int


def found_bench(directory: Path, *, database_url: str = "", port: int = 8000) -> Bench:
    """Found it; the agency is enrolled by `enrol`, in a running node."""
    now = int(time.time())
    url = f"http://127.0.0.1:{port}"
    found(directory, Founding("zz", NODE, "Benchmark", url, demonstration=True, seed=b"benchmark"), now=now)
    settings = load({"data_dir": directory, "database_url": database_url, "port": port}, environment={})
    upgrade(settings.resolved_database_url)
    return Bench(settings, SigningKey.generate(f"{AGENCY}#1"), now)


async def open_node(bench: Bench) -> Node:
    """A started node in this process, with its agency enrolled."""
    node = build(bench.settings)
    await node.start()
    if node.keyring.member(AGENCY) is None:
        await submit_all(node, enrolment(bench))
    return node


def enrolment(bench: Bench) -> list[str]:
    """The founding statements, and the agency."""
    registrar = Registrar(ORIGIN, read_key(bench.settings.keys_dir / "registrar-1.jwk"), bench.now)
    mandate = Mandate(default_kinds(MemberClass.AGENCY), ("fraud",), Tlp.RED, quota_per_hour=10_000_000)
    agency = Member(
        AGENCY, "Benchmark agency", MemberClass.AGENCY, mandate, (member_key(bench.key.kid, bench.key.to_jwk(), now=bench.now),)
    )
    return [*founding_statements(bench.settings.data_dir, now=bench.now), registrar.member(agency)]


async def submit_all(node: Node, wires: list[str]) -> list[Admitted]:
    """Submit in groups as the batch route does; anything but an admission stops the benchmark."""
    answers: list[Admitted] = []
    for start in range(0, len(wires), 500):
        for answer in await node.gate.submit(wires[start : start + 500]):
            if not isinstance(answer, Admitted):
                raise answer
            answers.append(answer)
    return answers


def address(number: int) -> str:
    """A made-up EVM address."""
    return "0x" + hashlib.sha256(f"bench {number}".encode()).hexdigest()[:40]


def wallet(number: int) -> dict[str, JsonValue]:
    """A wallet item with every required member."""
    return {
        "type": "wallet",
        "id": f"eip155:0:{address(number)}",
        "typologies": ["fraud.investment.pig_butchering"],
        "roles": ["collection"],
        "severity": 3,
        "basis": "authority_data",
        "reliability": "B",
        "credibility": 2,
        "status": "suspected",
        "action": "review",
    }


def context(now: int) -> dict[str, JsonValue]:
    """The context item of a listing."""
    return {
        "type": "context",
        "purpose": "fraud_prevention",
        "legal_basis": {"instrument": "criminal_investigation"},
        "assertion": "assessment",
        "evidence_standard": "reasonable_grounds",
        "evidence": [{"sha256": "ab" * 32, "kind": "victim_statement", "held_by": "issuer"}],
        "review_by": time.strftime("%Y-%m-%d", time.gmtime(now + 150 * 86_400)),
        "redress": {"contact": "redress desk", "route": "direct"},
        "neutrality": True,
    }


def listing(bench: Bench, numbers: range) -> str:
    """A signed listing of these wallets."""
    claims: dict[str, JsonValue] = {
        "v": 1,
        "iss": AGENCY,
        "org": ORIGIN,
        "knd": "listing",
        "iat": bench.now,
        "exp": bench.now + 300 * 86_400,
        "tlp": "GREEN",
    }
    return build_statement(claims, {"core": [*(wallet(n) for n in numbers), context(bench.now)]}, bench.key)
