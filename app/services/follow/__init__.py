"""Following other jurisdictions: mirrors of their logs that believe nothing they can compute (protocol §3.7)."""

from app.services.follow.endings import Endings
from app.services.follow.loop import HEAL_EVERY_S, PATIENCE_S, WITHHELD_AFTER_S, Follower, FollowRules
from app.services.follow.mirroring import Mirroring
from app.services.follow.recovery import Recovery

__all__ = ["HEAL_EVERY_S", "PATIENCE_S", "WITHHELD_AFTER_S", "Endings", "FollowRules", "Follower", "Mirroring", "Recovery"]
