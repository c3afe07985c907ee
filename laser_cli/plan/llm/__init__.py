"""A local language model as planner, through llama.cpp: its file, its prompts, its answers and what is made of them."""
