"""Row-major matrices out of column-major ones and back, out of core."""
