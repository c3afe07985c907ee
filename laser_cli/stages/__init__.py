"""The verbs: settings and a model in, pictures out."""
