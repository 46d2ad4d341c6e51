"""A leased trial, from the hand-out to the tell."""
