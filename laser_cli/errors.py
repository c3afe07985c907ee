"""What can go wrong for a user: what happened, why, what to do next, and the exit code that scripts see."""


class LaserError(Exception):
    """A failure that a user can act on: `what` happened, `why` it did, and what to try next (`hint`)."""

    exit_code = 1

    def __init__(self, what: str, *, why: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.hint = hint

    def render(self) -> str:
        """The lines for stderr: `error: what`, then `  why: ...` and `  try: ...` where they are known."""
        parts = [("error: ", self.what), ("  why: ", self.why), ("  try: ", self.hint)]
        # lines that continue a text are indented under it, so that "error:" starts exactly one line
        return "\n".join(mark + text.replace("\n", "\n" + " " * len(mark)) for mark, text in parts if text)


class UsageError(LaserError):
    """The command line asks for something impossible or contradictory."""

    exit_code = 2


class NotFoundError(LaserError):
    """A model, planner or preset is not where it was looked for."""

    exit_code = 3


class MemoryExhausted(LaserError):
    """The device or the machine has not enough memory."""

    exit_code = 4


class BadInputError(LaserError):
    """A picture, plan, inversion or track that cannot be used."""

    exit_code = 5


class BatchError(LaserError):
    """Some jobs of a batch failed; the others are done."""

    exit_code = 6


def out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on any device; told by the exception's name, so that torch is not imported."""
    names = {kind.__name__ for kind in type(error).__mro__}
    if names & {"MemoryError", "OutOfMemoryError"}:
        return True
    # torch's CPU and MPS allocators raise a bare RuntimeError
    text = str(error)
    return isinstance(error, RuntimeError) and ("can't allocate memory" in text or "out of memory" in text)
