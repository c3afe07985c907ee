"""Face tracks: what a face does over time, read from captures, videos and plans, and made ready to drive a portrait."""
