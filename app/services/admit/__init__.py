"""The gate: the one door through which statements come into a log."""

from app.services.admit.gate import Gate, GateRules, Result
from app.services.admit.outcome import Admitted, HeldReason, Status, receipt_extra
from app.services.admit.ownlog import OwnLog, check_entries

__all__ = ["Admitted", "Gate", "GateRules", "HeldReason", "OwnLog", "Result", "Status", "check_entries", "receipt_extra"]
