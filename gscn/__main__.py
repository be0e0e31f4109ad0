"""`python -m gscn` is the command, which lies in `gscn.command`: the roof, above all else."""

import runpy

if __name__ == "__main__":
    runpy.run_module("gscn.command", run_name="__main__", alter_sys=True)
