"""The command `gscn` as a process; `python -m gscn` is the same."""


def main() -> int:
    """Run the command of this process; return its exit status."""
    import signal

    # Imports take long enough to be interrupted: until there is anything to clean up, without a
    # traceback.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from gscn.command.interrupts import Interrupts
    from gscn.command.standard_files import open_standard_files

    open_standard_files()
    return Interrupts(leaving=True).run(_run)


def _run() -> int:
    from gscn.command.main import main as run
    from gscn.command.scratch import scratch_folder

    with scratch_folder():
        return run()


if __name__ == "__main__":
    raise SystemExit(main())
