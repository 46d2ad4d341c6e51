"""What runs in a child process, what starts one, and what the two say to each other."""
