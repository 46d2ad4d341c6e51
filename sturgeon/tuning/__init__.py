"""Tuning one's own code from Python: studies, their trials, and processes that run an objective."""
