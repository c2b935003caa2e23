"""A search over settings: what is not beaten, and what is cheapest and good enough."""
