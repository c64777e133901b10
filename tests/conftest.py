from __future__ import annotations

import pytest
from hypothesis import settings

# How fast something is belongs in benchmarks/: a busy machine must not fail a test.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def small_model() -> str:
    """The name of a small chat model whose file is on this machine; pulled (98 MB) if it is not."""
    from laconic.backends.catalogue import find
    from laconic.backends.pull import pull

    name = "smollm2-135m-instruct"
    if find(name) is None:
        pull(name)
    return name
