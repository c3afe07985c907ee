"""Pure functions that the engine applies inside the U-Net: what a frame reads of its anchors."""
