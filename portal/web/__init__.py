"""The edge: thin handlers, one blueprint an audience."""
