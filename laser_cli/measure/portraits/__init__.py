"""Driven portraits, measured on puppets whose true pictures are known."""
