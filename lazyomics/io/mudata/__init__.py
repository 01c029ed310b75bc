"""`.h5mu` files: opening, writing, and saving in place."""
