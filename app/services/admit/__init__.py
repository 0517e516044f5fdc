"""The gate: the one door through which statements come into a log."""

from app.services.admit.filing import FileKeeper
from app.services.admit.gate import Gate, GateRules
from app.services.admit.outcome import Admitted, HeldReason, Status, receipt_extra
from app.services.admit.ownlog import OwnLog, check_entries
from app.services.admit.refold import FORGET_DUE
from app.services.admit.waiting import Result

__all__ = [
    "FORGET_DUE",
    "Admitted",
    "FileKeeper",
    "Gate",
    "GateRules",
    "HeldReason",
    "OwnLog",
    "Result",
    "Status",
    "check_entries",
    "receipt_extra",
]
