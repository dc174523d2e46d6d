"""What all tests have: volumes in memory and in files."""

import pytest

import heliumdb

#: 64 MiB of memory: the smallest volume.
MEMORY = "he://./_67108864"


@pytest.fixture
def volume():
    with heliumdb.open(MEMORY) as volume:
        yield volume


@pytest.fixture
def store(volume):
    return volume.datastore("store")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "volume"
