"""Following other jurisdictions: mirrors of their logs that believe nothing they can compute (protocol §3.7)."""

from app.services.follow.loop import PATIENCE_S, WITHHELD_AFTER_S, Follower, FollowRules
from app.services.follow.mirroring import Mirroring
from app.services.follow.recovery import Recovery

__all__ = ["PATIENCE_S", "WITHHELD_AFTER_S", "FollowRules", "Follower", "Mirroring", "Recovery"]
