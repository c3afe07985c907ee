"""What runs a language model: llama.cpp in this process, or a server."""
