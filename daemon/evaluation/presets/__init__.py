"""Prepared evaluations: the project's own claims, and the tables of the papers as far as the data goes."""
