"""What a study may ask a worker to do: a file for each kind of task."""
