"""Reading and writing files; the only package that imports h5py."""
