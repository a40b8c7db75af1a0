"""Pages through which people raise alerts and request and decide approvals."""
