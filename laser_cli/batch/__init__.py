"""Many jobs as one run: a file of rows becomes checked tasks, which workers draw here or on a Ray cluster.

file --rows, expand--> Row a job --build--> Task --spool, queue--> schedule --crew--> Station --> Outcome --> journal
"""
