"""Prompts as text: the words of `words.yaml`, the phrases that a prompt is made of, and changing it word for word."""
