"""The command line ``lazyomics``: one module for each command, imported when it is asked for."""
