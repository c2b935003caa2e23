"""Two records side by side: what differs, and whether that could be chance."""
