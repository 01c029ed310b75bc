"""Pure functions and mergeable states on one in-memory block; nothing here knows dask or files."""
