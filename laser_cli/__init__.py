"""laser: animates a still image from a sentence, on one's own machine."""

__version__: str
_SOURCE_VERSION = "0.1.0"  # for a source tree that is not installed; a test holds it equal to pyproject.toml


def __getattr__(name: str) -> str:
    """`__version__`, looked up on first use: reading package metadata is too slow for every start."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version

    try:
        found = version("laser-cli")
    except PackageNotFoundError:
        found = _SOURCE_VERSION
    globals()["__version__"] = found
    return found
