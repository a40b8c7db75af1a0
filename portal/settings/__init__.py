"""Mail settings and senders: what applies, what may be changed, and by whom."""
