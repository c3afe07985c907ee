"""The embedded planner's tokenizer: GPT-2's byte-level BPE learned on its tasks, and a token for each joint."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from laser_cli.storybook.planner import question
from laser_cli.storybook.planner_tasks import PERCENT, Task, answer_text, sample_task

END, ASK, PLAN = "<|end|>", "<|ask|>", "<|plan|>"
MARKS = (END, ASK, PLAN)
JOINTS = (
    '{"reasoning":"","source":"',
    '","segments":[{"prompt":"',
    *(f'","control":"{control}"' for control in PERCENT),
    *(f',"strength":{strength},"share":1' for strength in PERCENT.values()),
    ',"easing":"ease"},{"prompt":"',
    ',"easing":"ease"}]}',
)
"""What stands between the words of an answer: a token each, so that an answer is hardly longer than its words."""
# llama-cpp-python reads the text of a token into 32 bytes, and drops those that need more
assert all(len(joint) < 32 for joint in JOINTS)
TEMPLATE = (
    "{% for m in messages %}{% if m['role'] == 'assistant' %}"
    f"{PLAN}{{{{ m['content'] }}}}{END}{{% else %}}{ASK}{{{{ m['content'] }}}}"
    f"{{% endif %}}{{% endfor %}}{{% if add_generation_prompt %}}{PLAN}{{% endif %}}"
)


def prompt_of(task: Task) -> str:
    """What the model reads before it answers."""
    return f"{ASK}{question(task.description, task.source)}{PLAN}"


def build(path: Path, vocabulary: int = 1500, tasks: int = 8000) -> Tokenizer:
    """Learns the merges, writes the tokenizer's file and returns it."""
    bpe = Tokenizer(models.BPE())
    # GPT-2's own cuts: llama.cpp knows them by that name
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - len(MARKS) - len(JOINTS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    bpe.train_from_iterator(_texts(tasks), trainer)
    bpe.add_special_tokens([AddedToken(mark, normalized=False, special=True) for mark in MARKS])
    bpe.add_tokens([AddedToken(joint, normalized=False) for joint in JOINTS])
    path.parent.mkdir(parents=True, exist_ok=True)
    bpe.save(str(path))
    return bpe


def encode(tokenizer: Tokenizer, task: Task) -> tuple[list[int], int]:
    """The tokens of a task, and how many of them the model is told before it answers."""
    told = tokenizer.encode(prompt_of(task)).ids
    return told + tokenizer.encode(answer_text(task.answer) + END).ids, len(told)


def _texts(tasks: int) -> Iterator[str]:
    rng = random.Random("tokens")
    for _ in range(tasks):
        task = sample_task(rng)
        yield question(task.description, task.source)
        yield task.answer.source
        yield from (keyframe.prompt for keyframe in task.answer.segments)
