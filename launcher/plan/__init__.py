"""Plan: say what a launch would run, fetch and need here, without running or fetching any of it."""

from launcher.plan.ground import PlanEdges
from launcher.plan.planning import plan

__all__ = ["PlanEdges", "plan"]
