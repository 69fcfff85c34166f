"""Run a command, and say on standard error how much memory it had at most, in bytes, as the last line.

A process of its own: what the kernel counts for a child begins with what its parent had when it was started.
"""

import os
import sys


def main() -> None:
    child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
    _, status, usage = os.wait4(child, 0)
    print(usage.ru_maxrss * 1024, file=sys.stderr)
    sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
