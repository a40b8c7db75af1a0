"""Attacks, each with a test; most are generated from the URL map."""
