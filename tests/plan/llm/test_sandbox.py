import os

import pytest

from laser_cli import limits
from laser_cli.plan.llm.sandbox import TemplateFailure, render_chat

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
MESSAGES = [{"role": "system", "content": "Plan {{ 7*7 }}."}, {"role": "user", "content": "ü 猫 \udce9"}]
VALUES = {"messages": MESSAGES, "bos_token": "<s>", "eos_token": "</s>", "enable_thinking": False}


def test_a_template_makes_the_prompt_and_values_stay_values():
    prompt = render_chat(CHATML, VALUES)
    assert prompt == (
        "<|im_start|>system\nPlan {{ 7*7 }}.<|im_end|>\n"
        "<|im_start|>user\nü 猫 \udce9<|im_end|>\n<|im_start|>assistant\n"
    )


def test_what_templates_of_known_models_use():
    assert render_chat("{% generation %}{{ messages|tojson }}{% endgeneration %}", VALUES).startswith('[{"role"')
    assert render_chat("{% for m in messages %}{{ m.role }}{% break %}{% endfor %}", VALUES) == "system"
    assert len(render_chat("{{ strftime_now('%Y') }}", VALUES)) == 4
    assert render_chat("{{ bos_token }}{% if tools %}x{% endif %}{{ enable_thinking }}", VALUES) == "<s>False"
    with pytest.raises(TemplateFailure, match="roles must alternate"):
        render_chat("{{ raise_exception('roles must alternate') }}", VALUES)


HOSTILE = {
    "multiplied": "{{ 'a' * 6000000000 }}",
    "power": "{{ 10 ** (10 ** 10) }}",
    "width": "{{ '%6000000000d' % 1 }}",
    "format": "{{ '{:>6000000000}'.format(1) }}",
    "center": "{{ 'a'|center(6000000000) }}",
    "ranges": "{% for a in range(99999) %}" * 3 + "{% endfor %}" * 3,
    "output": "{% for a in range(99999) %}{{ 'twenty-five letters or so' }}{% endfor %}",
    "doubling": "{% set n = namespace(x='ab') %}{% for i in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}{{ n.x }}",
    "macro": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "nested": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "brackets": "{{ " + "[" * 100_000 + " }}",
    "lipsum": "{{ lipsum(n=99999) }}",
    "attribute": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "syntax": "{% for %}",
    "undefined": "{{ nothing.at.all }}",
    "escape": "{{ cycler.__init__.__globals__.os.system('touch owned') }}",
    "file": "{% include '/etc/passwd' %}",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_templates_end_in_time_and_leave_nothing(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(limits, "TEMPLATE_SECONDS", 5.0)
    with pytest.raises(TemplateFailure) as told:
        render_chat(HOSTILE[name], VALUES)
    assert str(told.value) and "\n" not in str(told.value)
    assert not os.listdir(tmp_path)


def test_modules_of_the_current_folder_are_not_run(tmp_path, monkeypatch):
    (tmp_path / "jinja2.py").write_text("open('owned', 'w')")
    (tmp_path / "json.py").write_text("open('owned', 'w')")
    monkeypatch.chdir(tmp_path)
    assert render_chat("x", VALUES) == "x"
    assert not (tmp_path / "owned").exists()
