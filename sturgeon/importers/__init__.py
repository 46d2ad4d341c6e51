"""Searches that were described for other tools, as studies: each importer reads one tool's files.

What a study cannot express is named in the draft's notes; nothing is left out silently.
"""
