"""Be `evalctl` for tests that need a process of its own."""

from launcher.cli.app import main

if __name__ == "__main__":
    main()
