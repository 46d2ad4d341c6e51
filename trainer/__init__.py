"""Networks in NumPy: each idea of the course in a file of its own name. Knows nothing of HTTP or trials."""
