"""How much laser reads of files that others wrote: every limit in one place, so that time and memory stay bounded.

Sizes are generous for what people make and small for what a machine can hold. Each is named in the error that it
causes.
"""

PICTURE_SIDE = 20_000
"""Pixels a side of an input picture."""
PICTURE_PIXELS = 100_000_000
"""Pixels that an input picture may have once it is decoded: 300 MB as RGB."""
PICTURE_TEXT = 4_000_000
"""Bytes of text or EXIF that are read from a picture."""
PIPE_BYTES = 1_000_000_000
"""Bytes that are read from a pipe in place of a file."""
TEXT_BYTES = 1_000_000
"""Bytes of a text file that words are taken from (@FILE)."""
PLAN_BYTES = 1_500_000
"""Bytes of a plan or preset: the largest valid plan takes about a half."""
TRACK_BYTES = 200_000_000
"""Bytes of a face track or capture: hours of all blendshapes."""
RECORD_BYTES = 4_000_000
"""Bytes of the record inside an output."""
PAGE_BYTES = 64_000_000
"""Bytes of a report, which embeds its pictures."""
PLAN_PARTS = 200_000
"""Words, lists and mappings in a plan or preset: a face track of 1,000 points takes about half."""
DEPTH = 16
"""Lists and mappings inside each other, in plans, presets and records."""
DIGITS = 100
"""Digits of a number in a plan or preset."""
GGUF_ENTRIES = 65_536
"""Values, and tensors, in the header of a GGUF file."""
GGUF_ITEMS = 16_000_000
"""Items of a list in the header of a GGUF file: its vocabulary."""
GGUF_TEXT = 16_000_000
"""Bytes of a text in the header of a GGUF file."""
GGUF_DIMENSIONS = 8
"""Dimensions of a tensor in a GGUF file."""
TEMPLATE_SECONDS = 10.0
"""Seconds that a chat template may take for one prompt."""
TEMPLATE_MEMORY = 512 * 2**20
"""Bytes of memory that a chat template may use, beside the interpreter's own."""
TEMPLATE_OUTPUT = 2_000_000
"""Characters of the prompt that a chat template makes."""
