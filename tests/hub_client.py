"""Runs programs that talk to a Hub, each in a process of its own, and soon: torch is imported once, before the fork.

huggingface_hub reads its settings when it is imported, so it is imported after the fork. Started by hub_server, which
writes a job a line: {"program", "environment", "folder"}; its stdout and stderr go to files of these names in the
folder, and its exit status is answered.
"""

import json
import os
import signal
import sys

import train.data.batches
import train.state
import unit.__main__

if "huggingface_hub" in sys.modules:
    sys.exit(f"huggingface_hub is imported too early: by {unit}, {train.data.batches} or {train.state}")
print("ready", flush=True)
for line in sys.stdin:
    job = json.loads(line)
    if child := os.fork():
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        continue
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
    os.environ.clear()
    os.environ.update(job["environment"])
    os.chdir(job["folder"])
    for descriptor, name in (1, "stdout"), (2, "stderr"):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    exec(job["program"], {"__name__": "client"})
    sys.exit()
