"""A model's vocabulary in llama.cpp: tokens, pieces of text, and grammars over them."""

from __future__ import annotations

import codecs
import ctypes
from typing import Any


class Vocabulary:
    """The vocabulary of a loaded model (a llama_model pointer)."""

    def __init__(self, model: Any) -> None:
        import llama_cpp

        self._cpp = llama_cpp
        self.pointer = llama_cpp.llama_model_get_vocab(model)
        self.size = int(llama_cpp.llama_vocab_n_tokens(self.pointer))
        self._bos = llama_cpp.llama_vocab_bos(self.pointer)
        self.bos, self.eos = self._text(self._bos), self._text(llama_cpp.llama_vocab_eos(self.pointer))

    def tokens(self, text: str, *, begins: bool = True) -> list[int]:
        """The tokens of a text and of the marks in it; where a prompt begins, with the mark for that if wanted."""
        data = text.encode("utf-8", "replace")
        space = (self._cpp.llama_token * (len(data) + 8))()
        count = self._cpp.llama_tokenize(self.pointer, data, len(data), space, len(space), False, True)
        found = list(space[: max(count, 0)])
        wants = begins and self._cpp.llama_vocab_get_add_bos(self.pointer) and self._bos >= 0
        return [self._bos, *found] if wants and found[:1] != [self._bos] else found

    def ends(self, token: int) -> bool:
        """Whether a token ends an answer."""
        return bool(self._cpp.llama_vocab_is_eog(self.pointer, token))

    def decoder(self) -> Any:
        """Makes text of tokens, one after the other; characters that span tokens come with their last one."""
        utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        buffer = ctypes.create_string_buffer(256)

        def piece(token: int) -> str:
            count = self._cpp.llama_token_to_piece(self.pointer, token, buffer, len(buffer), 0, False)
            return utf8.decode(buffer.raw[: max(count, 0)])

        return piece

    def grammar(self, gbnf: str) -> Grammar | None:
        """A grammar over this vocabulary; None if llama.cpp cannot follow it."""
        made = self._cpp.llama_sampler_init_grammar(self.pointer, gbnf.encode("utf-8"), b"root")
        return Grammar(made) if made else None

    def _text(self, token: int) -> str:
        if token < 0:
            return ""
        return str(self._cpp.llama_vocab_get_text(self.pointer, token).decode("utf-8", "replace"))


class Grammar:
    """A grammar and the place that an answer has reached in it; asked about few tokens it is fast."""

    def __init__(self, sampler: Any) -> None:
        import llama_cpp

        self._cpp, self._sampler = llama_cpp, sampler

    def allowed(self, tokens: list[int]) -> list[int]:
        """Those of the tokens that may come next."""
        data: Any = (self._cpp.llama_token_data * len(tokens))()
        for entry, token in zip(data, tokens, strict=True):
            entry.id, entry.logit, entry.p = token, 0.0, 0.0
        array = self._cpp.llama_token_data_array(data, len(tokens), -1, False)
        self._cpp.llama_sampler_apply(self._sampler, ctypes.byref(array))
        return [entry.id for entry in data[: array.size] if entry.logit > float("-inf")]

    def accept(self, token: int) -> None:
        """Go on to the place after a token."""
        self._cpp.llama_sampler_accept(self._sampler, token)

    def reset(self) -> None:
        """Go back to the beginning."""
        self._cpp.llama_sampler_reset(self._sampler)

    def free(self) -> None:
        """Give its memory back; it cannot be used afterwards."""
        self._cpp.llama_sampler_free(self._sampler)
