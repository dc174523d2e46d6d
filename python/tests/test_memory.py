"""Memory that the system does not give (``ulimit -v``) is an error: the program goes on, and the volume stays sound."""

import subprocess
import sys

import pytest

import heliumdb

#: Writes until there is no memory for more, in a process that may have 96 MiB more than it has: what the store wants to
#: see free, and a little. Says how much was written.
PROGRAM = """
import re, resource, sys
import heliumdb

kind, path = sys.argv[1:]
value = bytes(10_000 if kind == "batch" else 0)
options = dict(read_cache_bytes=0, write_cache_bytes=2 << 20, version_budget_bytes=2**40)
volume = heliumdb.open(path, **options)
store = volume.datastore("store")
batch = volume.batch()

def write(number):
    key = b"%08d" % number + bytes(92)
    if kind == "batch":
        batch[store][key] = value
    else:
        store[key] = value

with open("/proc/self/status") as status:
    taken = int(re.search(r"VmSize:\\s+(\\d+)", status.read())[1]) << 10
limit = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_AS, (taken + (96 << 20), limit[1]))
written = 0
try:
    while True:
        write(written)
        written += 1
except MemoryError as why:
    assert type(why) is heliumdb.OutOfMemory, type(why)
    assert "ulimit -v" in str(why), why
resource.setrlimit(resource.RLIMIT_AS, limit)

# What was written is there, and the volume takes more.
if kind == "puts":
    assert len(store) == written and b"%08d" % 0 + bytes(92) in store
else:
    assert len(batch) == written
    batch.commit()
store[b"afterwards"] = b""
volume.close()
print(written)
"""


@pytest.mark.parametrize("kind", ["puts", "batch"])
def test_memory_that_may_not_be_had_is_an_error(path, kind):
    program = [sys.executable, "-c", PROGRAM, kind, str(path)]
    ran = subprocess.run(program, capture_output=True, text=True, timeout=120)
    assert (ran.returncode, ran.stderr) == (0, "")
    with heliumdb.open(path, create=False) as volume:
        store = volume["store"]
        assert len(store) == int(ran.stdout) + 1 and b"afterwards" in store
        assert volume.verify()["damaged"] == 0
