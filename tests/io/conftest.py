from tests.container.conftest import one_file, stored  # noqa: F401
