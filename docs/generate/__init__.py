"""Pages of the site that are made of the code, and small changes to what Sphinx reads."""
