"""The user's own program, run for one trial: its process tree, output, metrics, checkpoint folder and limits."""
