"""HelloMeme: adapters that put a face track's pose and expression on a portrait (arXiv 2410.22901)."""
