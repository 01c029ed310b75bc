"""Files on servers, read by byte ranges through fsspec."""
