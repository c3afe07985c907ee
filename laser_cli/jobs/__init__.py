"""What can be asked for, and doing it; knows no command line.

    options, presets, records, a model's laser.yaml --merge--> settings --build_<verb>--> Job --place--> Job on a model
    Job + Model + Sinks --run (run_<verb>)--> frames into files or memory, and a Result

A new setting is one field in ``settings``. A new verb is its settings, a Job, a ``run_<verb>`` module that calls its
stage, and a command.
"""
