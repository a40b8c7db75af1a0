"""An organization's pages, for its Administrators and Members."""
