"""Backbones behind one protocol (base), the models built around them, and how these are found and loaded."""
