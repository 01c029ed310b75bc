"""Random histories of operations, done with anndata or mudata and with lazyomics, and compared."""
