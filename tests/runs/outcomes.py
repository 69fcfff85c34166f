"""A container that ended well: what tests of runs change one thing of."""

from launcher.engines.engine import CollectedOutputs, ContainerOutcome

DONE = ContainerOutcome(
    exit_code=0,
    signal=None,
    exec_error=None,
    timed_out=False,
    cancelled=False,
    oom_killed=False,
    seconds=1.0,
    cpu_user_seconds=0.5,
    cpu_system_seconds=0.1,
    max_rss_bytes=1,
    outputs=CollectedOutputs(complete=True),
    engine_exit_code=0,
    started=0.0,
    finished=1.0,
)
