"""Backups: what an archive holds, and how it leaves and enters each engine."""
