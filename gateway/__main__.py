"""The command `boardtalk`, also as `python -m boardtalk`."""

import sys


def main() -> None:
    """Run `boardtalk` and exit; in silence, too, if Ctrl-C comes while it is still being loaded."""
    try:
        from boardtalk.cli import run_command  # noqa: PLC0415 - what takes its time

        code = run_command(sys.argv[1:])
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
