"""``python -m lazyomics`` is the command line."""

from __future__ import annotations

from lazyomics.cli.main import main

if __name__ == "__main__":
    main()
