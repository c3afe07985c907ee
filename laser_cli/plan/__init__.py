"""From a sentence to a Plan: schema, files, the planners."""
