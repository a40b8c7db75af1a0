"""Carrying mail to its server: the staged test."""
