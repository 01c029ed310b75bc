from __future__ import annotations

from collections.abc import Iterator

import pytest

from lazyomics.io.hdf5 import ranges


@pytest.fixture(scope="module", params=["many chunks in a call", "chunk by chunk"])
def way_of_reading(request: pytest.FixtureRequest) -> Iterator[None]:
    """All that is said of reading holds for both ways, for any number of chunks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranges, "LARGE_DATASET", 0)
        patch.setattr(ranges, "WORTH_A_LOOP", 0 if "many" in request.param else 1 << 62)
        yield
