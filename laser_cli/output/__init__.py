"""What laser writes: videos, frames, contact sheets, and the record of the run inside each; all of it atomically."""
