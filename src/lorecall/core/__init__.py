"""What everything stands on: files, lines of JSON, processes, progress."""
