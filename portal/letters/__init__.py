"""What a mail says: shipped letters, their frame, and composing (pure) from stored data."""
