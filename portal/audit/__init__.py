"""Append-only record of changes. Stores plain ids and knows no other model."""
