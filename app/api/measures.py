"""What /metrics tells: requests by route template, lookups, submissions, and the state of log, disk and keys (trust-and-ops §4).

Labels come from closed lists: never an address, a case, a label of content or the name of a caller. Nothing counts by what a caller
may not see (H-1), but for `cordon_log_*`, which shows that the log has grown.
"""

from __future__ import annotations

import shutil
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from app.services.node import Node

BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})


class Requests:
    """Durations of requests by (method, route template, status): cheaper than the library's own histogram, told in its form."""

    def __init__(self) -> None:
        self.active = 0
        self._found: dict[tuple[str, str, int], list[float]] = {}

    def add(self, method: str, route: str, status: int, seconds: float) -> None:
        """One finished request."""
        key = (method, route, status)
        counts = self._found.get(key)
        if counts is None:
            # An unknown method must not be a new label each time.
            key = (method if method in _METHODS else "_OTHER", route, status)
            counts = self._found.setdefault(key, [0.0] * (len(BUCKETS_S) + 2))
        counts[bisect_left(BUCKETS_S, seconds)] += 1
        counts[-1] += seconds

    def family(self) -> HistogramMetricFamily:
        """All of it, cumulated as Prometheus wants it."""
        family = HistogramMetricFamily(
            "http_server_request_duration_seconds", "Time from request to the end of the answer.", labels=["method", "route", "status"]
        )
        for (method, route, status), counts in self._found.items():
            total, buckets = 0.0, []
            for bound, count in zip((*map(str, BUCKETS_S), "+Inf"), counts[:-1], strict=True):
                total += count
                buckets.append((bound, total))
            family.add_metric([method, route, str(status)], buckets, sum_value=counts[-1])
        return family


class Lookups(Counter[tuple[str, str]]):
    """How many lookups had which result, by class of caller."""


class NodeCollector(Collector):
    """The values of one node at the moment they are asked for."""

    def __init__(self, node: Node, *, requests: Requests, lookups: Lookups, data_dir: Path, version: str) -> None:
        self._node = node
        self._requests = requests
        self._lookups = lookups
        self._data_dir = data_dir
        self._version = version

    def collect(self) -> Iterator[Metric]:
        """Every family, in a steady order."""
        node, own_log = self._node, self._node.own_log
        info = InfoMetricFamily("cordon_build", "Release and node.")
        info.add_metric([], {"version": self._version, "node": node.identity.node_id})
        yield info
        yield self._requests.family()
        yield _gauge("http_server_active_requests", "Requests at work.", self._requests.active)
        lookups = CounterMetricFamily("cordon_lookups", "Addresses screened.", labels=["result", "client_class"])
        for (result, client_class), count in sorted(self._lookups.items()):
            lookups.add_metric([result, client_class], count)
        yield lookups
        submissions = CounterMetricFamily("cordon_submissions", "Statements by outcome.", labels=["outcome"])
        for outcome, count in sorted(node.gate.outcomes.items()):
            submissions.add_metric([outcome], count)
        yield submissions
        yield _gauge("cordon_log_entries", "Entries under the newest checkpoint.", own_log.signed_size)
        yield _gauge("cordon_log_last_checkpoint_timestamp_seconds", "When the newest checkpoint was signed.", own_log.signed_ms / 1000)
        yield _gauge("cordon_log_frozen", "1: the log signs nothing until an operator has looked.", int(node.gate.frozen is not None))
        depth = GaugeMetricFamily("cordon_queue_depth", "What waits.", labels=["queue"])
        depth.add_metric(["submissions"], node.gate.depth)
        yield depth
        if node.database.replica is not None:
            age_s = node.database.replica.age_s
            yield _gauge("cordon_replica_age_seconds", "How old at most the replica is; -1: not known.", -1 if age_s is None else age_s)
        yield _gauge("cordon_disk_free_bytes", "Room left where the data directory lies.", shutil.disk_usage(self._data_dir).free)
        expiry = GaugeMetricFamily("cordon_key_expiry_timestamp_seconds", "When keys end.", labels=["role"])
        if node.documents:
            expiry.add_metric(["root_document"], node.documents[-1].expires_at)
        yield expiry


def _gauge(name: str, what: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, what, value=value)


class Measures:
    """The counters of one application and their text form."""

    def __init__(self, node: Node, *, data_dir: Path, version: str) -> None:
        self.requests = Requests()
        self.lookups = Lookups()
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(NodeCollector(node, requests=self.requests, lookups=self.lookups, data_dir=data_dir, version=version))

    def text(self) -> bytes:
        """Prometheus text format 0.0.4."""
        return generate_latest(self._registry)
