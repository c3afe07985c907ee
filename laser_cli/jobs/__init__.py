"""What a run is asked to do: settings, where they come from, and the one place where they are merged."""
