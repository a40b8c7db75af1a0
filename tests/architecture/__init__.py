"""What holds for the whole code base, read from its syntax trees, its URL map and its files."""
