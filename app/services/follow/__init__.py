"""Following other jurisdictions: mirrors of their logs that believe nothing they can compute (protocol §3.7)."""

from app.services.follow.loop import Follower, FollowRules
from app.services.follow.mirroring import Mirroring

__all__ = ["FollowRules", "Follower", "Mirroring"]
